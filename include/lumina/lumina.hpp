// LuminaKernel: neural layers on simulated noisy k-bit analog hardware, in one pass.
#pragma once

#include "config.hpp"
#include "isa.hpp"

// Values.
#include "border.hpp"
#include "fast_rng.hpp"
#include "finite.hpp"
#include "hardware_profile.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"

// Stages.
#include "array_stages.hpp"
#include "elementary.hpp"
#include "epilogue.hpp"
#include "independent.hpp"
#include "read_noise.hpp"
#include "stage.hpp"
#include "stage_list.hpp"
#include "stages.hpp"

// Weights.
#include "cells.hpp"
#include "coded_weights.hpp"
#include "coded_weights_view.hpp"
#include "complex_weights.hpp"
#include "crosstalk.hpp"
#include "programmed.hpp"
#include "quantized_weights.hpp"
#include "sliced_weights.hpp"
#include "tiled_floats.hpp"
#include "tiled_weight_noise.hpp"
#include "tiled_weights.hpp"
#include "tiled_weights_view.hpp"
#include "weight_clip.hpp"
#include "weight_codes.hpp"
#include "weight_modifiers.hpp"
#include "weight_noise.hpp"
#include "weights.hpp"
#include "weights_file.hpp"

// Calls.
#include "analog_gemm.hpp"
#include "analog_slices.hpp"
#include "compensation.hpp"
#include "executor.hpp"
#include "fused_gemm.hpp"
#include "layer_report.hpp"
#include "report.hpp"

// Training.
#include "adc_calibration.hpp"
#include "adc_range.hpp"
#include "analog_linear.hpp"
#include "analog_pass.hpp"
#include "backward.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "gradients.hpp"
#include "input_range.hpp"
#include "magnitude_histogram.hpp"

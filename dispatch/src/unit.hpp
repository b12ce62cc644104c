// What one instruction set's translation unit offers, as plain functions. Everything in the table
// is compiled for that instruction set; nothing in this header is code, so that no function is
// shared between units.
#pragma once

#include <cstddef>
#include <cstdint>

#include <lumina/dispatch.hpp>

namespace lumina::dispatch {

/// How weights are to be packed.
enum class WeightKind { floats, borrowed, quantized, complex_pairs, codes, tiles };

/// Which stage of a call is being looked at; none where `where` is null.
struct StagePlace {
  const char* where = nullptr;
  std::size_t index = 0;
};

struct Unit {
  /// The unit's own instruction sets, the best one first; AMX brings AVX-512 VNNI with it.
  const char* const* isas;
  std::size_t isa_count;
  /// One of `isas` runs from now on.
  void (*force)(const char* isa);
  const char* (*isa)();

  /// `mapping`: of tiles.
  PackedTag* (*pack)(const MatrixMemory<const float>& w, WeightKind kind, int bits,
                     const Mapping& mapping);
  /// `shape`: of a convolution, whose filters w are, or null.
  PackedTag* (*encode_arrays)(const MatrixMemory<const float>& w, const ArrayEncoding& encoding,
                              const ConvolutionShape* shape);
  void (*perturb_gradient)(const MatrixMemory<float>& gradient, const ArrayEncoding& encoding,
                           const ConvolutionShape* shape);
  void (*conductances)(const CellSpec& cell, const float* targets, float* result, std::size_t count,
                       const double* seconds, const NoiseKey& key);
  void (*delete_packed)(PackedTag*);
  void (*codes)(const PackedTag*, std::int8_t* to);
  void (*scales)(const PackedTag*, float* to);
  std::size_t (*code_count)(const PackedTag*);
  float (*code_value)(const PackedTag*);
  void (*multiply_scales)(PackedTag*, const float* factors);
  std::size_t (*tiles)(const PackedTag*);
  void (*values)(const PackedTag*, float* to);

  void (*mix_neighbours)(const MatrixMemory<const float>& w, float crosstalk,
                         const MatrixMemory<float>& mixed);

  RecordTag* (*make_record)();
  bool (*filled)(const RecordTag*);
  void (*delete_record)(RecordTag*);
  std::size_t (*record_gates)(const RecordTag*);
  /// A row of bytes for each row of outputs.
  MatrixMemory<std::uint8_t> (*record_bytes)(RecordTag*);
  /// For outputs [rows, cols], as if filled; the caller writes its bytes.
  void (*fill_record)(RecordTag*, std::size_t rows, std::size_t cols, std::size_t gates);
  WorkspaceTag* (*make_workspace)();
  void (*delete_workspace)(WorkspaceTag*);

  /// `record` may be null; so may `weights` of `call` be ignored: `packed` are they.
  /// `place`: that of the stage that is wrong, in both.
  float (*run)(const Call& call, const PackedTag* packed, RecordTag* record, StagePlace& place);
  void (*backward)(const Call& call, const PackedTag* packed,
                   const MatrixMemory<const float>& grad_y, const RecordTag* record,
                   const GradientViews& gradients, WorkspaceTag* workspace, StagePlace& place);
  void (*run_convolution)(const ConvolutionCall& call, const PackedTag* packed, RecordTag* record,
                          StagePlace& place);
  void (*backward_convolution)(const ConvolutionCall& call, const PackedTag* packed,
                               const ImageMemory<const float>& grad_y, const RecordTag* record,
                               const ConvolutionGradientViews& gradients, WorkspaceTag* workspace,
                               StagePlace& place);
  GradientProducts gradient_products_in_use;
  void (*product_backward)(const MatrixMemory<const float>& grad_y,
                           const MatrixMemory<const float>& x, const MatrixMemory<const float>& w,
                           const GradientViews& gradients, WorkspaceTag* workspace,
                           const Executor& executor);
  bool (*all_finite)(const MatrixMemory<const float>& values);

  void (*quantize)(const Converter& converter, float* values, std::size_t count);
  void (*encode)(const Converter& converter, const float* values, std::size_t count,
                 std::uint32_t* codes);
  void (*decode)(const Converter& converter, const std::uint32_t* codes, std::size_t count,
                 float* values);
  float (*step)(const Converter& converter);
  float (*standard_normal_at)(const NoiseKey& key, std::size_t row, std::size_t col);

  RngTag* (*make_rng)(std::uint64_t seed);
  void (*delete_rng)(RngTag*);
  /// A generator is so many bytes; sets one to a copy of them, or returns false where they are
  /// none.
  std::size_t rng_bytes;
  bool (*restore_rng)(RngTag*, const std::byte* bytes, std::size_t count);
  std::uint64_t (*next)(RngTag*);
  float (*uniform)(RngTag*);
  float (*normal)(RngTag*);
  void (*fill_normal)(RngTag*, float* to, std::size_t count, float mean, float stddev);
  void (*jump)(RngTag*);
  void (*long_jump)(RngTag*);
};

}  // namespace lumina::dispatch

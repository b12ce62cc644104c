#include <lumina/dispatch.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>

#include "cpu_features.hpp"
#include "unit.hpp"

namespace lumina::dispatch {

// compiled_units.cpp
extern const Unit* const compiled_units[];
extern const std::size_t compiled_unit_count;

namespace {

std::span<const Unit* const> units() { return {compiled_units, compiled_unit_count}; }

struct Choice {
  const Unit* unit;
  const char* isa;
};

std::string listed(const std::vector<std::string_view>& names) {
  std::string list;
  for (const std::string_view name : names) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  return list;
}

/// The unit for an instruction set that the machine has.
Choice find(std::string_view name, const char* who) {
  for (const Unit* const unit : units()) {
    for (std::size_t i = 0; i < unit->isa_count; ++i) {
      if (unit->isas[i] == name && cpu_has(unit->isas[i])) return {unit, unit->isas[i]};
    }
  }
  throw std::invalid_argument("lumina::dispatch: " + std::string(who) + " says " +
                              std::string(name) + "; this machine runs " +
                              listed(available_isas()));
}

/// The unit of new objects and calls. Scalar code runs everywhere, so there is one.
class Active {
 public:
  const Unit* get() {
    if (const Unit* const unit = unit_.load(std::memory_order_acquire)) return unit;
    const std::lock_guard lock(choosing_);
    if (unit_.load() == nullptr) {
      const char* const forced = std::getenv("LUMINA_FORCE_ISA");
      set(forced != nullptr && *forced != '\0' ? find(forced, "LUMINA_FORCE_ISA")
                                               : find(available_isas().front(), "the machine"));
    }
    return unit_.load();
  }
  void force(std::string_view name) {
    const Choice choice = find(name, "force_isa");
    const std::lock_guard lock(choosing_);
    set(choice);
  }

 private:
  void set(const Choice& choice) {
    choice.unit->force(choice.isa);
    unit_.store(choice.unit, std::memory_order_release);
  }

  std::atomic<const Unit*> unit_ = nullptr;
  std::mutex choosing_;
};

Active& active() {
  static Active instance;
  return instance;
}

}  // namespace

std::vector<std::string_view> available_isas() {
  std::vector<std::string_view> names;
  for (const Unit* const unit : units()) {
    for (std::size_t i = 0; i < unit->isa_count; ++i) {
      if (cpu_has(unit->isas[i])) names.emplace_back(unit->isas[i]);
    }
  }
  return names;
}

std::string_view isa() { return active().get()->isa(); }
void force_isa(std::string_view name) { active().force(name); }

// --- Objects of units ----------------------------------------------------------------------------

template <>
void Deleter<PackedTag>::operator()(PackedTag* object) const {
  unit->delete_packed(object);
}
template <>
void Deleter<RecordTag>::operator()(RecordTag* object) const {
  unit->delete_record(object);
}
template <>
void Deleter<WorkspaceTag>::operator()(WorkspaceTag* object) const {
  unit->delete_workspace(object);
}
template <>
void Deleter<RngTag>::operator()(RngTag* object) const {
  unit->delete_rng(object);
}

/// What this file may see of the public classes.
struct Access {
  static Weights pack(const MatrixMemory<const float>& w, WeightKind kind, int bits,
                      const Mapping& mapping = {}) {
    const Unit* const unit = active().get();
    const bool pairs = kind == WeightKind::complex_pairs;
    return Weights(Owned<PackedTag>(unit->pack(w, kind, bits, mapping), {unit}),
                   pairs ? 2 * w.rows : w.rows, w.cols, bits, kind);
  }
  static Weights encode(const MatrixMemory<const float>& w, const ArrayEncoding& encoding,
                        const ConvolutionShape* shape) {
    const Unit* const unit = active().get();
    return Weights(Owned<PackedTag>(unit->encode_arrays(w, encoding, shape), {unit}), w.rows,
                   w.cols, encoding.bits, WeightKind::tiles);
  }
  static Weights with_bits(Weights weights, int bits) {
    weights.bits_ = bits;
    return weights;
  }
  static const Unit* unit(const Weights& weights) { return weights.packed_.get_deleter().unit; }
  static PackedTag* packed(const Weights& weights) { return weights.packed_.get(); }
  static bool tiled(const Weights& weights) { return weights.kind_ == WeightKind::tiles; }
  static bool borrowed(const Weights& weights) { return weights.kind_ == WeightKind::borrowed; }

  /// The record for a call on this unit.
  static RecordTag* to_fill(Record& record, const Unit* unit) {
    if (record.record_ == nullptr || record.record_.get_deleter().unit != unit) {
      record.record_ = {unit->make_record(), {unit}};
    }
    return record.record_.get();
  }
  static void empty(Record& record) { record.record_.reset(); }
  static const RecordTag* filled(const Record& record, const Unit* unit) {
    if (record.record_ != nullptr && record.record_.get_deleter().unit == unit) {
      return record.record_.get();
    }
    throw std::invalid_argument("lumina::dispatch::backward: " +
                                std::string(record.record_ == nullptr
                                                ? "no forward call has filled the record"
                                                : "the record is of other weights' call"));
  }
  static WorkspaceTag* workspace(Workspace& workspace, const Unit* unit) {
    if (workspace.workspace_.get_deleter().unit != unit) {
      workspace.workspace_ = {unit->make_workspace(), {unit}};
    }
    return workspace.workspace_.get();
  }
};

std::size_t Record::gates() const {
  return filled() ? record_.get_deleter().unit->record_gates(record_.get()) : 0;
}
bool Record::filled() const {
  return record_ != nullptr && record_.get_deleter().unit->filled(record_.get());
}
std::string_view Weights::isa() const {
  const Unit* const unit = Access::unit(*this);
  return unit->isa();
}
bool Weights::coded() const { return kind_ == WeightKind::codes; }
std::size_t Weights::tiles() const {
  return kind_ == WeightKind::tiles ? Access::unit(*this)->tiles(packed_.get()) : 0;
}
void Weights::codes(std::int8_t* to) const { Access::unit(*this)->codes(packed_.get(), to); }
void Weights::values(float* to) const { Access::unit(*this)->values(packed_.get(), to); }
void Weights::scales(float* to) const { Access::unit(*this)->scales(packed_.get(), to); }

namespace {

/// What only weights on arrays have.
const Unit* unit_of_arrays(const Weights& weights, const char* what) {
  if (Access::tiled(weights)) return Access::unit(weights);
  throw std::invalid_argument("lumina::dispatch: " + std::string(what) +
                              " is for weights on arrays");
}

}  // namespace

std::size_t Weights::code_count() const {
  return unit_of_arrays(*this, "code_count")->code_count(packed_.get());
}
float Weights::code_value() const {
  return unit_of_arrays(*this, "code_value")->code_value(packed_.get());
}
void Weights::multiply_scales(const float* factors) {
  unit_of_arrays(*this, "multiply_scales")->multiply_scales(packed_.get(), factors);
}

Weights pack_weights(MatrixMemory<const float> w) { return Access::pack(w, WeightKind::floats, 0); }
Weights borrow_weights(MatrixMemory<const float> w) {
  return Access::pack(w, WeightKind::borrowed, 0);
}
Weights pack_quantized_weights(MatrixMemory<const float> w, int bits) {
  return Access::pack(w, WeightKind::quantized, bits);
}
Weights pack_quantized_values(MatrixMemory<const float> values, int bits) {
  return Access::with_bits(pack_weights(values), bits);
}
Weights pack_complex_weights(MatrixMemory<const float> w) {
  return Access::pack(w, WeightKind::complex_pairs, 0);
}
Weights encode_weights(MatrixMemory<const float> w, int bits) {
  return Access::pack(w, WeightKind::codes, bits);
}
Weights encode_tiles(MatrixMemory<const float> w, int bits, const Mapping& mapping) {
  return Access::pack(w, WeightKind::tiles, bits, mapping);
}

Weights encode_arrays(MatrixMemory<const float> w, const ArrayEncoding& encoding) {
  return Access::encode(w, encoding, nullptr);
}
Weights encode_arrays(MatrixMemory<const float> filters, const ArrayEncoding& encoding,
                      const ConvolutionShape& shape) {
  return Access::encode(filters, encoding, &shape);
}
void perturb_gradient(MatrixMemory<float> gradient, const ArrayEncoding& encoding) {
  active().get()->perturb_gradient(gradient, encoding, nullptr);
}
void perturb_gradient(MatrixMemory<float> gradient, const ArrayEncoding& encoding,
                      const ConvolutionShape& shape) {
  active().get()->perturb_gradient(gradient, encoding, &shape);
}
void conductances(const CellSpec& cell, const float* targets_uS, float* result_uS,
                  std::size_t count, const double* seconds, const NoiseKey& key) {
  active().get()->conductances(cell, targets_uS, result_uS, count, seconds, key);
}

void mix_neighbours(MatrixMemory<const float> w, float crosstalk, MatrixMemory<float> mixed) {
  active().get()->mix_neighbours(w, crosstalk, mixed);
}

// --- Calls ---------------------------------------------------------------------------------------

namespace {

/// f(place), whose error says which stage it is about.
template <class F>
auto saying_which_stage(const F& f) {
  StagePlace place;
  try {
    return f(place);
  } catch (const std::invalid_argument& error) {
    if (place.where == nullptr) throw;
    throw std::invalid_argument("lumina::dispatch: " + std::string(place.where) + "[" +
                                std::to_string(place.index) + "]: " + error.what());
  }
}

}  // namespace

float run(const Call& call) {
  if (call.weights->coded() && call.dac.bits == 0) {
    if (call.record != nullptr) Access::empty(*call.record);
    throw std::invalid_argument("lumina::dispatch::run: coded weights need a DAC");
  }
  if (Access::tiled(*call.weights)) {
    const char* const problem = call.dac.bits == 0 ? "weights on arrays need a DAC"
                                : call.track       ? "calls on arrays track nothing"
                                                   : nullptr;
    if (problem != nullptr) {
      if (call.record != nullptr) Access::empty(*call.record);
      throw std::invalid_argument(std::string("lumina::dispatch::run: ") + problem);
    }
  }
  const Unit* const unit = Access::unit(*call.weights);
  RecordTag* const record = call.record != nullptr ? Access::to_fill(*call.record, unit) : nullptr;
  return saying_which_stage([&](StagePlace& place) {
    return unit->run(call, Access::packed(*call.weights), record, place);
  });
}

MatrixMemory<const std::uint8_t> Record::bytes() const {
  if (!filled()) return {nullptr, 0, 0, 0};
  const auto [data, rows, cols, stride] = record_.get_deleter().unit->record_bytes(record_.get());
  return {data, rows, cols, stride};
}

void Record::restore(const Weights& weights, MatrixMemory<const std::uint8_t> bytes,
                     std::size_t gates) {
  const Unit* const unit = Access::unit(weights);
  RecordTag* const record = Access::to_fill(*this, unit);
  unit->fill_record(record, bytes.rows, weights.rows(), gates);
  const MatrixMemory<std::uint8_t> to = unit->record_bytes(record);
  if (bytes.rows != 0 && bytes.cols != to.cols) {
    record_.reset();
    const std::string several = gates == 1 ? "" : " and " + std::to_string(gates) + " gates";
    throw std::invalid_argument("lumina::dispatch::Record::restore: " + std::to_string(bytes.cols) +
                                " bytes for a row of " + std::to_string(weights.rows()) +
                                " outputs" + several + ", not " + std::to_string(to.cols));
  }
  for (std::size_t row = 0; row < bytes.rows; ++row) {
    std::uint8_t* const begin = to.data + row * to.row_stride;
    std::fill(std::copy_n(bytes.data + row * bytes.row_stride, bytes.cols, begin),
              begin + to.row_stride, std::uint8_t{0});
  }
}

void backward(const Call& call, MatrixMemory<const float> grad_y, const Record& record,
              const GradientViews& gradients, Workspace& workspace) {
  if (Access::borrowed(*call.weights)) {
    throw std::invalid_argument(
        "lumina::dispatch::backward: borrowed weights are for forward calls; pack them");
  }
  const Unit* const unit = Access::unit(*call.weights);
  const RecordTag* const filled = Access::filled(record, unit);
  WorkspaceTag* const memory = Access::workspace(workspace, unit);
  saying_which_stage([&](StagePlace& place) {
    unit->backward(call, Access::packed(*call.weights), grad_y, filled, gradients, memory, place);
  });
}

void run(const ConvolutionCall& convolution) {
  const Weights& weights = *convolution.call.weights;
  Record* const to_fill = convolution.call.record;
  const Unit* const unit = unit_of_arrays(weights, "a convolution");
  RecordTag* const record = to_fill != nullptr ? Access::to_fill(*to_fill, unit) : nullptr;
  saying_which_stage([&](StagePlace& place) {
    unit->run_convolution(convolution, Access::packed(weights), record, place);
  });
}
void backward(const ConvolutionCall& convolution, const ImageMemory<const float>& grad_y,
              const Record& record, const ConvolutionGradientViews& gradients,
              Workspace& workspace) {
  const Weights& weights = *convolution.call.weights;
  const Unit* const unit = unit_of_arrays(weights, "a convolution");
  const RecordTag* const filled = Access::filled(record, unit);
  WorkspaceTag* const memory = Access::workspace(workspace, unit);
  saying_which_stage([&](StagePlace& place) {
    unit->backward_convolution(convolution, Access::packed(weights), grad_y, filled, gradients,
                               memory, place);
  });
}

GradientProducts gradient_products_in_use() { return active().get()->gradient_products_in_use; }

void product_backward(MatrixMemory<const float> grad_y, MatrixMemory<const float> x,
                      MatrixMemory<const float> w, const GradientViews& gradients,
                      Workspace& workspace, const Executor& executor) {
  const Unit* const unit = active().get();
  unit->product_backward(grad_y, x, w, gradients, Access::workspace(workspace, unit), executor);
}

bool all_finite(MatrixMemory<const float> values) {
  return values.cols == 0 || active().get()->all_finite(values);
}

void quantize(const Converter& converter, float* values, std::size_t count) {
  active().get()->quantize(converter, values, count);
}
void encode(const Converter& converter, const float* values, std::size_t count,
            std::uint32_t* codes) {
  active().get()->encode(converter, values, count, codes);
}
void decode(const Converter& converter, const std::uint32_t* codes, std::size_t count,
            float* values) {
  active().get()->decode(converter, codes, count, values);
}
float step(const Converter& converter) { return active().get()->step(converter); }
float standard_normal_at(const NoiseKey& key, std::size_t row, std::size_t col) {
  return active().get()->standard_normal_at(key, row, col);
}

// --- FastRng -------------------------------------------------------------------------------------

FastRng::FastRng(std::uint64_t seed) : rng_(nullptr, {active().get()}) {
  rng_.reset(rng_.get_deleter().unit->make_rng(seed));
}
FastRng::FastRng(std::span<const std::byte> state) : FastRng(std::uint64_t{0}) {
  const Unit* const unit = rng_.get_deleter().unit;
  if (!unit->restore_rng(rng_.get(), state.data(), state.size())) {
    throw std::invalid_argument("lumina::dispatch::FastRng: these " + std::to_string(state.size()) +
                                " bytes are no state of a generator; state() gives one, of " +
                                std::to_string(unit->rng_bytes));
  }
}
std::vector<std::byte> FastRng::state() const {
  std::vector<std::byte> bytes(rng_.get_deleter().unit->rng_bytes);
  std::memcpy(bytes.data(), rng_.get(), bytes.size());
  return bytes;
}
std::uint64_t FastRng::operator()() { return rng_.get_deleter().unit->next(rng_.get()); }
float FastRng::uniform() { return rng_.get_deleter().unit->uniform(rng_.get()); }
float FastRng::normal() { return rng_.get_deleter().unit->normal(rng_.get()); }
void FastRng::fill_normal(float* to, std::size_t count, float mean, float stddev) {
  rng_.get_deleter().unit->fill_normal(rng_.get(), to, count, mean, stddev);
}
void FastRng::jump() { rng_.get_deleter().unit->jump(rng_.get()); }
void FastRng::long_jump() { rng_.get_deleter().unit->long_jump(rng_.get()); }

}  // namespace lumina::dispatch

// What a unit's calls are made of: weights in the forms that it multiplies, and the caller's
// executor.
#pragma once

#include <cstddef>
#include <vector>

#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// Weights in one of the forms that are multiplied.
struct Packed {
  enum class Form {
    floats,
    borrowed,
    codes8,
    codes4,
    codes2,
    tiles8,
    tiles4,
    tiles2
  } form = Form::floats;
  PackedWeights floats;
  MatrixView<const float> borrowed;  ///< the caller's
  CodedWeights<8> codes8;
  CodedWeights<4> codes4;
  CodedWeights<2> codes2;
  std::vector<TiledWeights<8>> tiles8;  ///< of each product of a convolution; otherwise one
  TiledWeights<4> tiles4;
  TiledWeights<2> tiles2;

  bool coded() const { return form >= Form::codes8 && form <= Form::codes2; }
  bool tiled() const { return form >= Form::tiles8; }
};

/// f(the weights).
template <class F>
auto with_codes(const Packed& packed, F f) {
  if (packed.form == Packed::Form::codes2) return f(packed.codes2);
  if (packed.form == Packed::Form::codes4) return f(packed.codes4);
  return f(packed.codes8);
}
template <class F>
auto with_tiles(const Packed& packed, F f) {
  if (packed.form == Packed::Form::tiles2) return f(packed.tiles2);
  if (packed.form == Packed::Form::tiles4) return f(packed.tiles4);
  return f(packed.tiles8.front());
}

/// The caller's.
struct AnyExecutor {
  const dispatch::Executor& executor;
  std::size_t threads;

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    if (executor.run == nullptr) {
      Serial()(tasks, body);
      return;
    }
    const auto call = [](void* context, std::size_t task) {
      (*static_cast<const Body*>(context))(task);
    };
    executor.run(executor.self, tasks, call, const_cast<Body*>(&body));
  }
};
inline AnyExecutor any_executor(const dispatch::Call& call) {
  return {call.executor, call.executor.threads};
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina

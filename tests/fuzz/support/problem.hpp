// Shapes and operands that an Input describes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <span>

#include <lumina/executor.hpp>
#include <lumina/noise.hpp>

#include "check.hpp"
#include "input.hpp"
#include "support/random_matrix.hpp"

namespace fuzz {

/// Mostly small, empty ones included; around the widths of tiles and panels now and then.
inline std::size_t dimension(Input& input) {
  const std::uint8_t byte = input.byte();
  if (byte < 0xc0) return byte % 0x22;
  return 32u * (byte % 9 + 1u) + byte / 9 % 3 - 1;
}

/// x [batch, in], w [out, in], y [batch, out].
struct Dimensions {
  std::size_t batch, in, out;

  std::size_t products() const { return batch * in * out; }
};

/// How much of a problem the oracle can compute in about a millisecond. Its noise takes a
/// microsecond for each output.
inline constexpr std::size_t kMaxOutputs = 600;
inline constexpr std::size_t kMaxProducts = std::size_t{1} << 15;

/// Mostly as above; sometimes very deep, and sometimes, where `worth_threads` says how many, with
/// so many products that an executor gets the tasks.
inline Dimensions dimensions(Input& input, std::size_t deepest, std::size_t worth_threads) {
  Dimensions shape{dimension(input), dimension(input), dimension(input)};
  if (input.rarely(100)) {
    shape.batch = 40 + shape.batch % 30;
    shape.out = 130 + shape.out % 10;
    shape.in = worth_threads / (shape.batch * shape.out) + 1 + shape.in % 40;
  } else {
    if (input.rarely(50)) shape.in = deepest - input.integer(0, 0xffff) % (deepest + 1);
    while (shape.products() > kMaxProducts || shape.batch * shape.out > kMaxOutputs) {
      std::size_t& larger = shape.batch > shape.out ? shape.batch : shape.out;
      larger = larger / 2;
    }
  }
  note("batch", shape.batch);
  note("in", shape.in);
  note("out", shape.out);
  return shape;
}

/// How far apart rows are, beyond their length.
inline std::size_t gap(Input& input) { return input.flag() ? input.byte() % 40 : 0; }

/// Numbers of one kind, made of a seed: a matrix takes few bytes.
class Numbers {
 public:
  explicit Numbers(Input& input) : kind_(input.one_of(kKinds)), engine_(input.integer(0, 0xffff)) {
    note("kind of numbers", static_cast<int>(kind_));
  }

  float operator()() {
    switch (kind_) {
      case Kind::uniform:
        return test::uniform(engine_, -1.0f, 1.0f);
      case Kind::integers:
        return static_cast<float>(test::integer(engine_, 0, 8)) - 4.0f;
      case Kind::zeros:
        return 0.0f;
      case Kind::wide:
        return scaled(engine_() % 60);
      case Kind::extreme:
        return scaled(engine_() % 250);
      case Kind::special:
        return engine_() % 32 == 0 ? Input::kEdges[engine_() % Input::kEdges.size()]
                                   : test::uniform(engine_, -1.0f, 1.0f);
      default:
        return test::any_float(engine_);
    }
  }

 private:
  enum class Kind { uniform, integers, zeros, wide, extreme, special, any };
  static constexpr std::array kKinds{Kind::uniform, Kind::integers, Kind::special, Kind::wide,
                                     Kind::extreme, Kind::any,      Kind::zeros};

  float scaled(std::uint64_t exponent) {
    const auto half = std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 1) << 23);
    return test::uniform(engine_, -1.0f, 1.0f) * half * (kind_ == Kind::wide ? 0x1p90f : 1.0f);
  }

  Kind kind_;
  test::Engine engine_;
};

/// A few elements become others, by bytes of the input: those that a fuzzer can turn one by one.
inline void patch(Input& input, test::TestMatrix& matrix) {
  const lumina::MatrixView<float> view = matrix;
  for (std::size_t left = input.byte() % 4; left > 0 && view.rows() * view.cols() > 0; --left) {
    const std::size_t row = input.integer(0, view.rows() - 1);
    matrix(row, input.integer(0, view.cols() - 1)) = input.any_float();
  }
}

/// A matrix of numbers, its rows apart.
inline test::TestMatrix matrix(Input& input, std::size_t rows, std::size_t cols) {
  test::TestMatrix result(rows, cols, cols + gap(input));
  result.fill(Numbers(input));
  patch(input, result);
  return result;
}

inline lumina::NoiseKey noise_key(Input& input) {
  return {input.byte(), input.byte(),
          input.flag() ? ~std::uint64_t{0} - input.byte() : input.byte()};
}

/// All tasks on this thread, in one of many orders.
struct AnyOrder {
  std::uint8_t how;
  static constexpr std::size_t threads = 5;  ///< into so many groups tasks may be cut

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    if (tasks == 0) return;
    // Steps that have no divisor in common with the number of tasks come to all of them.
    std::size_t step = how % tasks;
    while (std::gcd(step, tasks) != 1) ++step;
    std::size_t task = how / 2 % tasks;
    for (std::size_t i = 0; i < tasks; ++i, task = (task + step) % tasks) body(task);
  }
};

/// `bytes` bytes that begin at a cache line, or somewhat behind it.
class Memory {
 public:
  Memory(std::size_t bytes, std::size_t shift)
      : bytes_(bytes),
        shift_(shift),
        memory_(static_cast<std::byte*>(
            ::operator new (bytes + shift, std::align_val_t{lumina::kWorkspaceAlignment}))) {}

  std::span<std::byte> bytes() { return {memory_.get() + shift_, bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete (memory, std::align_val_t{lumina::kWorkspaceAlignment});
    }
  };
  std::size_t bytes_, shift_;
  std::unique_ptr<std::byte, Free> memory_;
};

/// A workspace for SerialIn: enough, or less or more than that, or one that begins anywhere.
struct Workspace {
  std::size_t needed;
  std::size_t size;
  std::size_t shift;
  Memory memory;

  Workspace(Input& input, std::size_t bytes)
      : needed(bytes), size(draw_size(input)), shift(draw_shift(input)), memory(size, shift) {
    note("workspace needed", needed);
    note("workspace", size);
    note("workspace begins at", shift);
  }

  lumina::SerialIn executor() { return lumina::SerialIn(memory.bytes()); }
  bool surely_enough() const { return size >= needed && aligned(); }
  bool aligned() const { return shift == 0; }

 private:
  std::size_t draw_size(Input& input) {
    switch (input.byte() % 4) {
      case 0:
        return needed;
      case 1:
        return needed - std::min(needed, input.integer(0, 0xffff));
      case 2:
        return needed + input.byte();
      default:
        return input.integer(0, 0xffff);
    }
  }
  static std::size_t draw_shift(Input& input) { return input.rarely(8) ? input.byte() % 64 : 0; }
};

}  // namespace fuzz

// What all parts of the example work with.
#pragma once

#include <lumina/matrix.hpp>

#include <cstdint>
#include <string>

#include "dataset.hpp"
#include "threads.hpp"

namespace example {

struct Setting {
  Dataset training, test;
  lumina::Matrix<float> test_images;  ///< [test.size(), kPixels]
  int epochs;                         ///< of each training
  std::uint64_t seed;
  Threads threads;
  bool quick;          ///< a smoke test
  std::string output;  ///< the folder for tables and pictures
};

}  // namespace example

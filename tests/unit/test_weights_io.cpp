#include <lumina/weights_io.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/weights_file.hpp"

using namespace lumina;
using namespace test;

namespace {

CodedWeights<4> some_weights(std::size_t rows, std::size_t cols) {
  Engine engine(rows);
  TestMatrix w(rows, cols);
  return encode_weights<4>(w.fill_uniform(engine));
}

/// A name that no other test has; the file is gone in the end.
struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("lumina_weights_io_" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
  ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("Weights lie in a stream one behind the other", "[weights_io]") {
  // The second one is longer than what is read at a time.
  const CodedWeights<4> first = some_weights(5, 7), second = some_weights(130, 17000);
  std::stringstream stream;
  REQUIRE(save(first, stream));
  REQUIRE(save(second, stream));
  CodedWeights<4> a, b;
  REQUIRE(load(stream, a));
  REQUIRE(load(stream, b));
  CHECK(file_of(a) == file_of(first));
  CHECK(file_of(b) == file_of(second));
  expect_error([&] { static_cast<void>(load(stream, a)); }, {"0 bytes"});
  CHECK(file_of(a) == file_of(first));
}

TEST_CASE("A stream that ends too early, and one that names more bytes than there are",
          "[weights_io][errors]") {
  const CodedWeights<4> weights = some_weights(5, 7);
  const Bytes file = file_of(weights);
  const std::string whole(reinterpret_cast<const char*>(file.data()), file.size());
  CodedWeights<4> read;
  for (const std::size_t size : {std::size_t{5}, std::size_t{128}, whole.size() - 1}) {
    std::istringstream stream(whole.substr(0, size));
    CHECK(errors_of([&] { CHECK(!load(stream, read)); }).size() == 1);
  }
  Bytes huge = file;
  detail::store_u64(std::uint64_t{1} << 60, huge.data() + detail::FileHeader::kFileBytesAt);
  reseal(huge);
  std::istringstream stream(std::string(reinterpret_cast<const char*>(huge.data()), huge.size()));
  CHECK(errors_of([&] { CHECK(!load(stream, read)); }).size() == 1);
  CHECK(read.rows() == 0);

  std::ostringstream closed;
  closed.setstate(std::ios::badbit);
  expect_error([&] { static_cast<void>(save(weights, closed)); }, {"did not take"});
}

TEST_CASE("Weights in files", "[weights_io]") {
  const TemporaryFile file;
  const CodedWeights<4> weights = some_weights(33, 70);
  REQUIRE(save(weights, file.path));
  CHECK(std::filesystem::file_size(file.path) == file_size(weights));
  CodedWeights<4> read;
  REQUIRE(load(file.path, read));
  CHECK(file_of(read) == file_of(weights));
  REQUIRE(save(some_weights(1, 1), file.path));  // shorter: the file is replaced
  REQUIRE(load(file.path, read));
  CHECK(read.rows() == 1);
  std::ofstream(file.path, std::ios::binary | std::ios::app) << 'x';
  expect_error([&] { static_cast<void>(load(file.path, read)); }, {"more than weights"});
  std::filesystem::remove(file.path);
  expect_error([&] { static_cast<void>(load(file.path, read)); }, {"can't open"});
  expect_error([&] { static_cast<void>(save(weights, file.path / "none" / "here")); },
               {"can't open"});
  CHECK(read.rows() == 1);
}

#include <lumina/isa.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/shared_kernels.hpp"

using namespace test;

TEST_CASE("isa() is what the translation unit is compiled for, or what AMX falls back to",
          "[isa]") {
  const std::string_view isa = lumina::isa(), native = lumina::detail::Native::name;
  CAPTURE(isa, native);
  CHECK((isa == native || (native == "amx" && isa == "avx512_vnni")));
}

TEST_CASE("Forcing the instruction set that is there succeeds", "[isa]") {
  const std::string before = lumina::isa();
  CHECK(errors_of([&] { CHECK(lumina::force_isa(before)); }).empty());
  CHECK(lumina::isa() == before);
}

TEST_CASE("Forcing an instruction set that the code is not compiled for is an error", "[isa]") {
  const std::string before = lumina::isa();
  expect_error([] { lumina::force_isa("avx1024"); },
               {"lumina::force_isa", "avx1024", "compiled for"});
  CHECK_FALSE(errors_of([] { CHECK_FALSE(lumina::force_isa("avx1024")); }).empty());
  CHECK(lumina::isa() == before);
}

#if defined(LUMINA_ISA_AMX)

TEST_CASE("AMX gives way to AVX-512 VNNI when told so, and comes back where it is", "[isa]") {
  const std::string before = lumina::isa();
  REQUIRE(lumina::force_isa("avx512_vnni"));
  CHECK(std::string(lumina::isa()) == "avx512_vnni");
  if (lumina::detail::amx_usable()) {
    REQUIRE(lumina::force_isa("amx"));
    CHECK(std::string(lumina::isa()) == "amx");
  } else {
    expect_error([] { lumina::force_isa("amx"); },
                 {"lumina::force_isa", "this machine has no AMX"});
    CHECK(std::string(lumina::isa()) == "avx512_vnni");
  }
  REQUIRE(lumina::force_isa(before));
}

#endif

#include <lumina/hardware_profile.hpp>

#include <cmath>
#include <string>

#include "support/catch.hpp"
#include "support/expect_error.hpp"

using namespace lumina;

TEST_CASE("The presets have their published numbers", "[profile]") {
  struct Expected {
    const char* name;
    int bits;
    float noise, attenuation, drift;
  };
  for (const Expected& expected : {Expected{"lumina_nano_v1", 4, 0.15f, 0.85f, 0.05f},
                                   {"lumina_micro_v1", 8, 0.10f, 0.90f, 0.03f},
                                   {"edge_ultra_low_power", 2, 0.20f, 0.75f, 0.10f},
                                   {"datacenter_high_precision", 12, 0.05f, 0.95f, 0.01f},
                                   {"custom", 8, 0.10f, 1.0f, 0.0f}}) {
    const HardwareProfile& profile = hardware_profile(expected.name);
    CAPTURE(expected.name);
    CHECK(profile.name == expected.name);
    CHECK(profile.bits == expected.bits);
    CHECK(profile.noise_level == expected.noise);
    CHECK(profile.attenuation == expected.attenuation);
    CHECK(profile.temp_drift == expected.drift);
  }
  CHECK(profiles::all.size() == 5);
}

TEST_CASE("An unknown profile is an error that names those there are", "[profile][errors]") {
  test::expect_error([] { hardware_profile("nano"); },
                     {"hardware_profile", "lumina_nano_v1", "edge_ultra_low_power"});
}

TEST_CASE("The shot noise of a readout is that of the dot product itself", "[profile]") {
  const Readout readout = Readout::of(profiles::edge_ultra_low_power);
  CHECK(readout.gain == Approx(0.92));
  CHECK(readout.attenuation == 0.75f);
  CHECK(readout.noise == 0.005f);
  // Behind the gain √|gain·s| stands in for √|s|.
  const double strength = static_cast<double>(readout.shot_noise_behind_gain().strength);
  CHECK(strength * std::sqrt(static_cast<double>(readout.gain)) == Approx(0.2));
}

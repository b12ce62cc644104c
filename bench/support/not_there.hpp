// Peers that this program was built without still stand in its tables.
#pragma once

#include <string>
#include <utility>

#include "contest.hpp"

namespace bench {

inline Contestant not_there(std::string title, double work, const std::string& package) {
  return {.title = std::move(title) + " (not there: " + package + ")", .work = work};
}

}  // namespace bench

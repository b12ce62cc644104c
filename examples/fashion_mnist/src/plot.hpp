// Pictures by gnuplot.
#pragma once

#include <csignal>
#include <cstdio>
#include <string>

namespace example {

/// A string as gnuplot reads it between single quotes.
inline std::string gnuplot_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

/// Runs a gnuplot script behind `definitions`, which are gnuplot's commands; false where it fails
/// or where there is no gnuplot.
inline bool run_gnuplot(const std::string& script, const std::string& definitions) {
  std::signal(SIGPIPE, SIG_IGN);  // a missing gnuplot must not end the program
  // In the plain C locale gnuplot complains about scripts in UTF-8.
  std::FILE* const gnuplot = popen("LC_ALL=C.UTF-8 gnuplot", "w");
  if (gnuplot == nullptr) return false;
  std::fprintf(gnuplot, "%s\nload %s\n", definitions.c_str(), gnuplot_quoted(script).c_str());
  return pclose(gnuplot) == 0;
}

/// Draws the table at `csv` with one of the scripts in plots/, and prints where both lie.
inline void draw(const std::string& script, const std::string& csv, const std::string& png,
                 const std::string& definitions) {
  const bool drawn = run_gnuplot(
      std::string(LUMINA_FASHION_MNIST_DIR "/plots/") + script,
      "csv = " + gnuplot_quoted(csv) + "; png = " + gnuplot_quoted(png) + "; " + definitions);
  std::printf("\nTable:   %s\nPicture: %s\n", csv.c_str(),
              drawn ? png.c_str() : "none, because gnuplot failed or is missing (gnuplot-nox)");
}

}  // namespace example

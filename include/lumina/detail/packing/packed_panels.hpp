// Weights that lie in panels, as a source of them.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "../kernels/views.hpp"
#include "../layout/float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A source of panels (engine/concepts.hpp). A row of words covers InputsPerRow inputs.
template <class PanelWord, std::size_t InputsPerRow>
class PackedPanels {
 public:
  using Word = PanelWord;
  struct Scratch {};

  /// `words`: panel after panel, `panel_size` words each.
  PackedPanels(const Word* words, std::size_t panel_size)
      : words_(words), panel_size_(panel_size) {}

  /// Bytes of a column block.
  std::size_t block_bytes() const {
    return panel_size_ * (kBlockColumns / kPanelColumns) * sizeof(Word);
  }

  /// f(view, the inputs that it has) with the first `columns` of a column block's weights; `inputs`
  /// begins with a row of words.
  template <class Kernel, class F>
  [[gnu::always_inline]] void for_each_part(std::size_t block, std::size_t columns,
                                            const Range& inputs, std::size_t, Scratch&,
                                            F&& f) const {
    const Word* const panel = words_ + block * (kBlockColumns / kPanelColumns) * panel_size_;
    const PanelView<Word> view{
        panel + inputs.begin / InputsPerRow * kPanelColumns, panel_size_, {0, columns}, true};
    f(view, Range{0, inputs.size});
  }

 private:
  const Word* words_;
  std::size_t panel_size_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina

// oneDNN's convolution of floats, on one thread, every tensor in the layout that it chooses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include <lumina/convolution.hpp>

#include "onednn.hpp"

namespace bench {

class OneDnnConvolution {
 public:
  /// Of two dimensions. `filters`: in torch's order.
  OneDnnConvolution(const lumina::Convolution& shape, std::size_t batch, const lumina::Size3& size,
                    const float* filters) {
    using Tag = dnnl::memory::format_tag;
    const auto f32 = dnnl::memory::data_type::f32;
    const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    const lumina::Size3 out = shape.output_size(size);
    const dnnl::memory::dims x{number(batch), number(shape.channels), number(size[1]),
                               number(size[2])};
    const dnnl::memory::dims y{number(batch), number(shape.outputs), number(out[1]),
                               number(out[2])};
    const auto groups = number(shape.groups), kh = number(shape.kernel[1]),
               kw = number(shape.kernel[2]);
    const auto of_group = number(shape.outputs) / groups,
               in_group = number(shape.channels) / groups;
    const dnnl::memory::dims w = groups == 1
                                     ? dnnl::memory::dims{of_group, in_group, kh, kw}
                                     : dnnl::memory::dims{groups, of_group, in_group, kh, kw};
    const dnnl::memory::dims padding{number(shape.padding[1]), number(shape.padding[2])};
    const dnnl::convolution_forward::primitive_desc chosen(
        dnnl::convolution_forward::desc(
            dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
            {x, f32, Tag::any}, {w, f32, Tag::any}, {y, f32, Tag::any},
            {number(shape.stride[1]), number(shape.stride[2])}, padding, padding),
        engine_);
    convolution_ = dnnl::convolution_forward(chosen);
    x_desc_ = {x, f32, Tag::nchw};
    const dnnl::memory plain({w, f32, groups == 1 ? Tag::oihw : Tag::goihw}, engine_,
                             const_cast<float*>(filters));
    weights_ = to(plain, chosen.weights_desc());
    source_ = chosen.src_desc();
    result_ = chosen.dst_desc();
  }

  /// Of x [batch, channels, height, width], which is copied.
  OneDnnArguments arguments(const float* x) {
    return {{DNNL_ARG_SRC, to(dnnl::memory(x_desc_, engine_, const_cast<float*>(x)), source_)},
            {DNNL_ARG_WEIGHTS, weights_},
            {DNNL_ARG_DST, dnnl::memory(result_, engine_)}};
  }
  void operator()(const OneDnnArguments& arguments) {
    convolution_.execute(stream_, arguments);
    stream_.wait();
  }

 private:
  dnnl::memory to(dnnl::memory from, const dnnl::memory::desc& layout) {
    dnnl::memory result(layout, engine_);
    dnnl::reorder(from, result).execute(stream_, from, result);
    stream_.wait();
    return result;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory::desc x_desc_, source_, result_;
  dnnl::memory weights_;
  dnnl::convolution_forward convolution_;
};

}  // namespace bench

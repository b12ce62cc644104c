// How long a call takes: the median of replays of a graph of several, so that launches cost what
// they cost a user who captures.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <vector>

#include "../../examples/cuda/support.hpp"

/// Microseconds of call(), which puts its kernels on `stream`.
template <class Call>
double replayed_us(cudaStream_t stream, const Call& call) {
  constexpr int kCalls = 10, kReplays = 9, kWarm = 2;
  call();  // what is asked for once
  require(cudaStreamSynchronize(stream));
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < kCalls; ++i) call();
  require(cudaStreamEndCapture(stream, &graph));
  require(cudaGraphInstantiate(&replay, graph, 0));
  cudaEvent_t begin, end;
  require(cudaEventCreate(&begin));
  require(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < kReplays; ++i) {
    float milliseconds = 0.0f;
    require(cudaEventRecord(begin, stream));
    require(cudaGraphLaunch(replay, stream));
    require(cudaEventRecord(end, stream));
    require(cudaEventSynchronize(end));
    require(cudaEventElapsedTime(&milliseconds, begin, end));
    if (i >= kWarm) times.push_back(milliseconds);
  }
  require(cudaEventDestroy(begin));
  require(cudaEventDestroy(end));
  require(cudaGraphExecDestroy(replay));
  require(cudaGraphDestroy(graph));
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return 1e3 * times[times.size() / 2] / kCalls;
}

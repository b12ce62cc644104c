#include "plain_training.hpp"

#include "optimizer.hpp"
#include "plain_trainer.hpp"
#include "training.hpp"

namespace example {
namespace {

template <class Optimizer>
void train_in_f32(const Setting& setting, Network& network, const Schedule& schedule) {
  PlainTrainer<Optimizer> trainer(network, kBatch, setting.threads);
  train(trainer, setting.training, schedule, [&] {
    return accuracy(network.scores(setting.test_images, setting.threads), setting.test.labels);
  });
}

}  // namespace

Network trained_in_f32(const Setting& setting, std::uint64_t seed) {
  Network network(kPixels, 512, kClasses, seed);
  train_in_f32<Sgd>(setting, network,
                    {.epochs = setting.epochs, .first_rate = 0.1, .shuffle_seed = seed});
  return network;
}

Network trained_further(const Setting& setting, Network network, const Schedule& schedule) {
  train_in_f32<Adam>(setting, network, schedule);
  return network;
}

}  // namespace example

// There is no heap: what asks for one stops the program and says so.
#include <cstddef>
#include <new>

#include "semihosting.hpp"

extern "C" {

void* malloc(std::size_t) { board::fail("malloc was called, and there is no heap"); }
void* calloc(std::size_t, std::size_t) { board::fail("calloc was called, and there is no heap"); }
void* realloc(void*, std::size_t) { board::fail("realloc was called, and there is no heap"); }
void* aligned_alloc(std::size_t, std::size_t) { board::fail("aligned_alloc: there is no heap"); }
void free(void*) { board::fail("free was called, and there is no heap"); }
void* _sbrk(std::ptrdiff_t) { board::fail("_sbrk was called, and there is no heap"); }

void abort() { board::fail("abort was called"); }

/// Destructors of static objects never run: a board does not end.
int __aeabi_atexit(void*, void (*)(void*), void*) { return 0; }
void* __dso_handle = nullptr;

}  // extern "C"

// A program may have its own in their place.
[[gnu::weak]] void* operator new(std::size_t) { board::fail("operator new: there is no heap"); }
[[gnu::weak]] void* operator new(std::size_t, std::align_val_t) {
  board::fail("operator new: there is no heap");
}
[[gnu::weak]] void operator delete(void*) noexcept {
  board::fail("operator delete: there is no heap");
}
[[gnu::weak]] void operator delete(void*, std::size_t) noexcept {
  board::fail("operator delete: there is no heap");
}
[[gnu::weak]] void operator delete(void* pointer, std::align_val_t) noexcept {
  if (pointer != nullptr) board::fail("operator delete: there is no heap");
}

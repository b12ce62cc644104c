// A fault is reported, and ends the program with an error.
int main() {
  asm volatile("udf #0");
  return 0;
}

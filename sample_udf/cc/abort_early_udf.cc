// Crashes before it is ready.

#include <cstdlib>

int main() { std::abort(); }

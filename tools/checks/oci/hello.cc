// Says what it was started with.

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const char* greeting = std::getenv("GREETING");
  std::printf("%s %s\n", greeting ? greeting : "no GREETING for", argc > 1 ? argv[1] : "nobody");
  return 0;
}

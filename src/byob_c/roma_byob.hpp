// Moved to src/ffi; kept for programs that include it under this name.
#include "src/ffi/roma_byob.hpp"

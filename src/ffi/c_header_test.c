/* That the header is C, and that a program in C can be linked with the library. */

#include "src/ffi/roma_byob.h"

int main(void) {
  roma_byob_config config = {0};
  roma_byob_status* status = roma_byob_start(&config, NULL);
  const roma_byob_failure failure = roma_byob_status_read(status);
  const int refused = failure.code == 3 && failure.message.size > 0 && !failure.retryable;
  roma_byob_status_free(status);
  return refused ? 0 : 1;
}

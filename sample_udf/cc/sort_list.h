// Memory work: sorting a list.

#ifndef SAMPLE_UDF_CC_SORT_LIST_H_
#define SAMPLE_UDF_CC_SORT_LIST_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sample_udf/proto/sample.pb.h"

namespace roma::sample {

// The list that SortListRequest describes.
inline std::vector<std::uint32_t> List(std::uint32_t length) {
  std::vector<std::uint32_t> list(length);
  std::uint32_t state = 0x9e3779b9;
  for (std::uint32_t& number : list) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    number = state;
  }
  return list;
}

inline SortListResponse Sort(std::vector<std::uint32_t> list) {
  std::sort(list.begin(), list.end());
  SortListResponse response;
  if (list.empty()) return response;
  response.set_length(static_cast<std::uint32_t>(list.size()));
  response.set_smallest(list.front());
  response.set_median(list[list.size() / 2]);
  response.set_largest(list.back());
  return response;
}

}  // namespace roma::sample

#endif  // SAMPLE_UDF_CC_SORT_LIST_H_

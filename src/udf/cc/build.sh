#!/bin/sh
# Compiles the example: `sh examples/cc/build.sh OUTPUT`. Uses the variables CXX, CXXFLAGS, LDFLAGS, LDLIBS and
# PROTOC.
set -eu
output=$(realpath "${1:-udf}")
cd "$(dirname "$0")/../.."

mkdir -p generated
"${PROTOC:-protoc}" -Ispecs --cpp_out=generated $(cd specs && find * -name '*.proto')
"${CXX:-g++}" -std=c++17 -O2 -static ${CXXFLAGS:-} ${LDFLAGS:-} -Ihelpers/cc -Igenerated \
    examples/cc/udf.cc $(find generated -name '*.pb.cc') ${LDLIBS:--lprotobuf -lz -pthread} -o "$output"

// Makes handlers of the functions that a module exports.
((module) => {
  'use strict';
  const ended = (code) => {
    throw new Error(`the module ended itself with code ${code}`);
  };
  const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: { proc_exit: ended } });
  for (const [name, value] of Object.entries(exports)) {
    if (typeof value === 'function') globalThis[name] = value;
  }
})(romaModule);

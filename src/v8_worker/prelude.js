// What scripts find besides the language. `functions` are the names of host functions.
((functions) => {
  'use strict';
  const { stringify, parse } = JSON;
  const { romaHost: host, romaLog: log } = globalThis;
  delete globalThis.romaHost;
  delete globalThis.romaLog;
  delete globalThis.SharedArrayBuffer;
  const isBytes = (value) => value instanceof Uint8Array;
  const kindOf = (value) => (typeof value === 'string' ? 't' : isBytes(value) ? 'b' : 'j');
  const pass = (value, kind) => (kind === 'j' ? stringify(value) ?? 'null' : value);
  const make = (name) => (...args) => {
    const value = args.length === 1 ? args[0] : args;
    const kind = kindOf(value);
    return host(name, kind, pass(value, kind));
  };
  for (const path of functions) {
    const names = path.split('.');
    const last = names.pop();
    let place = globalThis;
    for (const name of names) place = place[name] ??= {};
    place[last] = make(path);
  }
  const shown = (value) => {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return value.stack ?? String(value);
    if (typeof value === 'object' && value !== null) {
      try {
        return stringify(value);
      } catch {}
    }
    return String(value);
  };
  const print = (severity) => (...values) => log(severity, values.map(shown).join(' '));
  globalThis.console = { debug: print(0), error: print(2), info: print(0), log: print(0), warn: print(1) };
})

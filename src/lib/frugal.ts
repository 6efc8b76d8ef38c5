import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** When the young generation, both halves, is held, MiB: it takes the passing objects of some pages. V8 stops at 32. */
const youngMiB = 4;
/** By then the program is loaded, milliseconds. */
const loadedMs = 500;

/**
 * Keeps V8's heap small. Set at run time, because `node dist/main.js` is given no options. V8 reads these anew at each
 * collection, but not the one for the young generation's size: that is held as small as it begins while the program is
 * loaded, which would make it grow for good, and again once an import has made it as large as it should be.
 */
export function keepHeapSmall(): void {
  leaveFetchOut();
  // In percent of what survived the last full collection; V8's own measure allows several times as much. (Half of it would
  // save another 12 MB and cost an import 15 % more CPU.)
  setFlagsFromString('--heap-growing-percent=100');
  // What is made in great number and survives a page would from then on be made old, and wait for a full collection.
  setFlagsFromString('--no-allocation-site-pretenuring');
  // What runs so often is compiled once more by the best compiler soon: the one in between made much code that stayed.
  setFlagsFromString('--invocation-count-for-maglev=2000');
  growBy(1);
  setTimeout(() => {
    growBy(2);
    const look = new PerformanceObserver(() => {
      if (youngSize() < youngMiB) return;
      growBy(1);
      look.disconnect();
    });
    look.observe({ entryTypes: ['gc'] });
  }, loadedMs).unref();
}

/** The first import of node:http would load all of Node's fetch, for three names that nobody here asks for. */
function leaveFetchOut(): void {
  const http = process.getBuiltinModule('node:http');
  for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) {
    const own = Object.getOwnPropertyDescriptor(http, name);
    if (own?.get !== undefined && own.configurable === true)
      Object.defineProperty(http, name, { value: undefined, enumerable: true, configurable: true });
  }
}

function growBy(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

function youngSize(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return (young?.space_size ?? 0) / 1024 ** 2;
}

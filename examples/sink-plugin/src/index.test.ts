import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sinkConformance } from 'qasphere-siem-forwarder/testing';
import plugin from './index.js';

const path = join(mkdtempSync(join(tmpdir(), 'lines-')), 'records.ndjson');

sinkConformance({
  plugin,
  options: { path },
  received: () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []),
});

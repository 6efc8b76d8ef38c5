import { expect, it } from 'vitest';
import { statusEnvelope } from '../../../src/sinks/splunk-hec/envelope.ts';

it('a status record with a fraction of a millisecond is valid JSON', () => {
  const note = { event: 'forwarder.heartbeat', atMs: 1_795_538_975_504.9185, members: {} } as const;
  const body = statusEnvelope(note, { host: 'h', source: 's', sourcetype: 't', index: undefined, fields: undefined });
  expect(JSON.parse(String(body))).toMatchObject({ time: expect.any(Number) });
});

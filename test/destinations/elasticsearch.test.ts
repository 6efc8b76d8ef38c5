import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { definitionOf } from '../../src/sinks/registry.ts';
import { startSimulator } from '../../src/testing/simulator/server.ts';
import { configOf, load, withSink } from '../support/configuration.ts';
import { startProgram } from '../support/program.ts';
import { idOf, key, runs } from '../support/runs.ts';
import { batchOf, recordOf, sinkDeps, textOf } from '../support/sink-parts.ts';
import { OpenSearch } from './opensearch.ts';

const found = inject('opensearch');
const missing = 'missing' in found ? found.missing : undefined;
const alive = new AbortController().signal;
const tenant = 'acme.eu1.qasphere.com';
const { configure } = runs();

describe.skipIf(missing !== undefined)(
  `the elasticsearch sink and OpenSearch${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let server: OpenSearch;
    beforeAll(async () => {
      if ('classPath' in found) server = await OpenSearch.start(found.classPath);
    });
    afterAll(() => server?.[Symbol.asyncDispose]());

    function open(index: string, ...more: string[]) {
      const [sink] = configOf(
        load(withSink('type: elasticsearch', `url: ${server.url}`, `index: ${index}`, ...more)),
      ).sinks;
      if (sink === undefined) throw new Error('no sink');
      return definitionOf(sink).open(sink, sinkDeps());
    }

    it('creates each event once, however often it is sent', async () => {
      await using sink = open('once');
      for (const [first, last] of [
        [1, 3],
        [1, 3],
        [2, 5],
      ] as const)
        expect(await sink.send(batchOf(first, last), alive)).toEqual({ kind: 'accepted' });
      const documents = await server.documents('once');
      expect(documents.map(({ _id, _version }) => [_id, _version])).toEqual(
        [1, 2, 3, 4, 5].map((id) => [`${tenant}:${id}`, 1]),
      );
      expect(documents.map(({ _source }) => _source)).toEqual([1, 2, 3, 4, 5].map((id) => JSON.parse(textOf(id))));
    });

    it('names the document that a mapping refuses, and stores the others', async () => {
      await server.put('mapped', { mappings: { properties: { meta: { type: 'integer' } } } });
      await using sink = open('mapped');
      const records = [recordOf(textOf(1)), recordOf(textOf(2, ',"meta":"text"')), recordOf(textOf(3))];
      expect(await sink.send({ records }, alive)).toEqual({
        kind: 'reject',
        reason: 'malformed',
        detail: 'refused for its content (400, mapper_parsing_exception)',
        failedIndex: 1,
        acceptedIndexes: [0, 2],
      });
      expect((await server.documents('mapped')).map(({ _id }) => _id)).toEqual([`${tenant}:1`, `${tenant}:3`]);
    });

    it('parks if the index is read-only, or may not be created', async () => {
      await server.put('closed', { settings: { 'index.blocks.write': true } });
      await using readOnly = open('closed');
      expect(await readOnly.send(batchOf(1), alive)).toMatchObject({
        kind: 'stop',
        detail: expect.stringContaining('cluster_block_exception'),
      });
      await server.put('_cluster/settings', { transient: { 'action.auto_create_index': 'false' } });
      await using absent = open('absent');
      expect(await absent.send(batchOf(1), alive)).toMatchObject({
        kind: 'stop',
        detail: expect.stringContaining('index_not_found_exception'),
      });
      await server.put('_cluster/settings', { transient: { 'action.auto_create_index': null } });
    });

    it('writes to a data stream in the format ecs, and keeps status records apart', async () => {
      // As for `killed`: only what searches need is mapped.
      const mappings = { dynamic: false, properties: { event: { properties: { kind: { type: 'keyword' } } } } };
      await server.put('_index_template/qasphere', {
        index_patterns: ['logs-qasphere*'],
        data_stream: {},
        template: { mappings },
      });
      await using simulator = await startSimulator({ events: 200, key });
      const sink = `{ type: elasticsearch, url: "${server.url}", index: logs-qasphere.audit-default, heartbeat: 1s }`;
      const { file } = configure(simulator.url, { sinks: [sink] });
      const check = startProgram(['check', '-c', file]);
      expect(await check.ended, check.stdout()).toBe(0);
      const program = startProgram(['run', '-c', file], { env: { LOG_LEVEL: 'trace' } });
      await expect
        .poll(async () => (await server.documents('logs-qasphere.audit-default')).length, { timeout: 60_000 })
        .toBeGreaterThan(201);
      program.child.kill('SIGTERM');
      expect(await program.ended, program.stderr()).toBe(0);
      const documents = await server.documents('logs-qasphere.audit-default');
      const kinds = documents.map(({ _source }) => (_source['event'] as { kind: string }).kind);
      expect(kinds.filter((kind) => kind === 'event')).toHaveLength(200);
      expect(kinds.filter((kind) => kind === 'state').length).toBeGreaterThan(0);
    });

    it('loses and doubles nothing over SIGKILL of the program and of the server', async () => {
      // Events have members of many types in meta, which a growing mapping refuses.
      await server.put('killed', { mappings: { dynamic: false } });
      await using simulator = await startSimulator({ events: 500, rate: 200, key });
      const sink = `{ type: elasticsearch, url: "${server.url}", index: killed, format: json, batch: { maxEvents: 100 } }`;
      const { file } = configure(simulator.url, { sinks: [sink] });
      const first = startProgram(['run', '-c', file], { env: { LOG_LEVEL: 'trace' } });
      await first.until((stderr) => stderr.includes('checkpoint.saved'));
      first.child.kill('SIGKILL');
      await first.ended;
      const second = startProgram(['run', '-c', file], { env: { LOG_LEVEL: 'trace' } });
      await second.until((stderr) => stderr.includes('checkpoint.saved'));
      await server.kill();
      await second.until((stderr) => stderr.includes('pipeline.retry'));
      await server.start();
      await second.until((stderr) => stderr.includes('pipeline.recovered'));
      second.child.kill('SIGTERM');
      expect(await second.ended, second.stderr()).toBe(0);
      const once = startProgram(['once', '-c', file]);
      expect(await once.ended, once.stderr()).toBe(0);
      const documents = await server.documents('killed');
      const ids = documents.map(({ _source }) => Number(_source['id'])).toSorted((a, b) => a - b);
      const newest = ids.at(-1) ?? 0;
      const expected = (simulator.generated?.page(0n, 1_000_000) ?? []).map((text) => idOf(String(text)));
      expect(ids).toEqual(expected.filter((id) => id <= newest));
      expect(documents.every(({ _version }) => _version === 1)).toBe(true);
    });
  },
);

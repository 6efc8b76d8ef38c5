import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'otelcol',
    include: ['test/otelcol/**/*.test.ts'],
    globalSetup: ['test/otelcol/setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});

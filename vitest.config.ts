import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 20_000,
    // Most integration tests wait for other processes, so more workers than cores shorten the run.
    maxWorkers: 4,
    projects: [
      {
        extends: true,
        test: {
          name: 'integration',
          setupFiles: ['test/support/leak-check.ts'],
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/otelcol/**', 'test/destinations/**'],
          setupFiles: ['test/support/leak-check.ts'],
        },
      },
    ],
  },
});

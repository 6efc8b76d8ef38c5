import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 20_000,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/otelcol/**', 'test/destinations/**'],
          setupFiles: ['test/support/leak-check.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          setupFiles: ['test/support/leak-check.ts'],
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'destinations',
    include: ['test/destinations/**/*.test.ts'],
    globalSetup: ['test/destinations/setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

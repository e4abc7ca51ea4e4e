import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import config from './svelte.config.js';

export default ts.config(
  { ignores: ['node_modules', 'src/lib/api/schema.d.ts'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig: config } },
  },
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-control-regex': 'off',
      'no-undef': 'off',
      // The house rule: nothing untrusted ever becomes HTML.
      'svelte/no-at-html-tags': 'error',
      // Addresses are made by our own small router.
      'svelte/no-navigation-without-resolve': 'off',
      // Parameters are made anew for each change, and never changed where they are shown.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
);

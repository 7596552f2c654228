import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// The card is an element of the browser's, no component of Vue's.
const isCustomElement = (tag) => tag.startsWith("loopkey-");

export default defineConfig({ plugins: [vue({ template: { compilerOptions: { isCustomElement } } })] });

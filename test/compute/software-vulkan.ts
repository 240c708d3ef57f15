import { existsSync } from 'node:fs';

/** A Vulkan driver that computes on the processor comes with Debian's `chromium` (the loader is `libvulkan1`). */
const DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json';
const LOADERS = ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib/aarch64-linux-gnu/libvulkan.so.1'];

export const hasSoftwareVulkan = existsSync(DRIVER) && LOADERS.some((path) => existsSync(path));

/** What a test's title says where there is none. */
export const NEEDS_VULKAN = "needs Debian's chromium and libvulkan1, as a Vulkan driver without a GPU";

/** For processes of their own. */
export const VULKAN_ENVIRONMENT = { VK_ICD_FILENAMES: DRIVER };

/** For this process; before ONNX Runtime first looks for an adapter. */
export function useSoftwareVulkan(): void {
  if (hasSoftwareVulkan) Object.assign(process.env, VULKAN_ENVIRONMENT);
}

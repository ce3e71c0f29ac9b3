// The module "node:os", as Workers have it: it tells nothing of the machine.

const nothing = () => 0;

export const EOL = "\n";
export const devNull = "/dev/null";
export const constants = Object.freeze({ UV_UDP_REUSEADDR: 4, dlopen: {}, errno: {}, signals: {}, priority: {} });
export const arch = () => "wasm32";
export const availableParallelism = () => 1;
export const cpus = () => [];
export const endianness = () => "LE";
export const freemem = nothing;
export const getPriority = nothing;
export const homedir = () => "/";
export const hostname = () => "localhost";
export const loadavg = () => [0, 0, 0];
export const machine = () => "wasm32";
export const networkInterfaces = () => ({});
export const platform = () => "linux";
export const release = () => "";
export const setPriority = () => {};
export const tmpdir = () => "/tmp";
export const totalmem = nothing;
export const type = () => "Linux";
export const uptime = nothing;
export const userInfo = () => ({ uid: -1, gid: -1, username: "worker", homedir: "/", shell: null });
export const version = () => "";

export default {
  EOL, arch, availableParallelism, constants, cpus, devNull, endianness, freemem, getPriority, homedir, hostname,
  loadavg, machine, networkInterfaces, platform, release, setPriority, tmpdir, totalmem, type, uptime, userInfo,
  version,
};

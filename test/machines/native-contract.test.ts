import { ISOLATIONS, probeIsolation } from "../../supervisor/machines/isolation.ts";
import type { Isolation } from "../../supervisor/machines/isolation.ts";
import { createNativeMachine } from "../../supervisor/machines/native.ts";
import { machineContract } from "../contracts/machine.ts";
import type { MachineUnderTest } from "../contracts/machine.ts";
import { openNativeHome, pidsWith } from "./native-home.ts";

async function open(isolation: Isolation): Promise<MachineUnderTest> {
  const { home, folder, close } = await openNativeHome();
  const reopen = () => createNativeMachine(home, { isolation: async () => isolation });
  const living = async (text: string) => (await pidsWith(text)).length;
  return { machine: reopen(), name: "native", folder, reopen, living, close };
}

const best = await probeIsolation();
machineContract("native, as the host allows", () => open(best));
machineContract("native, without namespaces", () => open(undefined));

// A user namespace is what a host offers who is not root; where root runs this, it is tried as well.
const userNamespace = await probeIsolation(ISOLATIONS.slice(1));
if (userNamespace !== undefined && userNamespace.join() !== best?.join()) {
  machineContract("native, in a user namespace", () => open(userNamespace));
}

"""Jupyter kernels forked from a process that has the imports behind it (`preloaded`).

A page that only loads records spends most of its time on imports; forked, each begins where they
end. Python's fork server has done nothing but the imports. It forks a process for each page, and
that one, before it speaks to any kernel, forks the page's kernel: no thread is lost in a fork.
"""

import asyncio
import multiprocessing
import os
from multiprocessing.context import ForkProcess, ForkServerContext

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner


def context() -> ForkServerContext:
    """The context whose processes are forked with all that pages import."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["aesthlib.report.preloaded"])
    return made


class KernelProcess(ForkProcess):
    """A kernel with what its manager asks of a `subprocess.Popen`.

    Args:
        arguments: of ipykernel's command line.
        environment: of the kernel.
    """

    stdin = stdout = stderr = None

    def __init__(self, arguments: list[str], environment: dict[str, str]):
        super().__init__(daemon=True)  # a page that is cut off ends it, and never waits for it
        self.arguments, self.environment = arguments, environment

    def run(self) -> None:
        from ipykernel.kernelapp import IPKernelApp

        os.setsid()  # an interrupt at the terminal goes to the manager alone
        os.environ.update(self.environment)
        asyncio.set_event_loop(asyncio.new_event_loop())  # the manager's is running
        # inline: which an import before the fork could not ask for
        IPKernelApp.launch_instance([*self.arguments, "--matplotlib=inline"])

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


class ForkedProvisioner(LocalProvisioner):
    """Starts the kernel as a fork instead of a command."""

    async def launch_kernel(self, cmd: list[str], **given) -> dict:
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        parent = f"--IPKernelApp.parent_handle={os.getpid()}"  # whose end the kernel watches for
        self.process = KernelProcess([*arguments, parent], given["env"])
        self.process.start()
        self.pid = self.process.pid
        return self.connection_info


class ForkedKernelManager(AsyncKernelManager):
    """Manages a forked kernel."""

    def __init__(self, **given):
        super().__init__(**given)
        self.provisioner = ForkedProvisioner(kernel_spec=self.kernel_spec, parent=self)

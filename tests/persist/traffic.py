"""Packets from worker-0 to a pod of each other node, and who answers: only a packet that took the right next hop comes back."""

import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from persist.machine import Machine

PODS = ("10.200.1.2", "10.200.2.2", "fd00:10:201::2", "fd00:10:202::2")
PORT = 4747
_FAMILIES = {False: socket.AF_INET, True: socket.AF_INET6}
_PAUSE = 0.005  # seconds between two packets to one pod
_ECHO = f"""
import socket
import sys
echo = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
echo.bind((sys.argv[1], {PORT}))
print("here", flush=True)
while True:
    try:
        echo.sendto(*echo.recvfrom(64))
    except OSError:
        pass  # it is lost
"""


def _whole(pod: str) -> int:
    """Return the length of a prefix with one address."""
    return 128 if ":" in pod else 32


class Segment:
    """A switch at the other end of worker-0's wire, and nodes on it, each with a pod that echoes. Made anew at each boot."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.processes: list[subprocess.Popen[str]] = []
        self.switch = self._namespace()
        self._ip(self.switch, "link add sw type bridge", "link set sw up")
        subprocess.run(["ip", "link", "set", "wire", "netns", str(self.switch)], check=True)
        self._ip(self.switch, "link set wire master sw", "link set wire up")

    def node(self, addresses: Sequence[str], pods: Sequence[str]) -> int:
        """Add a node with pods that echo; return the process in its namespace."""
        node = self._namespace()
        port = f"port{len(self.processes)}"
        self._ip(
            self.switch,
            f"link add {port} type veth peer name eth0 netns {node}",
            f"link set {port} master sw",
            f"link set {port} up",
        )
        self._ip(
            node,
            "link set lo up",
            "link set eth0 up",
            *(
                f"addr add {address}/{64 if ':' in address else 24} dev eth0{' nodad' if ':' in address else ''}"
                for address in addresses
            ),
            *(f"addr add {pod}/{_whole(pod)} dev lo" for pod in pods),
        )
        for pod in pods:
            words = ["nsenter", "-t", str(node), "-n", sys.executable, "-c", _ECHO, pod]
            echo = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            self.processes.append(echo)
            assert echo.stdout
            assert echo.stdout.readline() == "here\n"
        return node

    def server(self, *words: str) -> None:
        """Start a program of the machine's files on the switch."""
        self.processes.append(self._machine.start(*words, beyond=self.switch))

    def address(self, text: str) -> None:
        """Give the switch an address of its own."""
        self._ip(self.switch, f"addr add {text} dev sw")

    def lose(self, node: int, pods: Sequence[str]) -> None:
        """Take pods from a node."""
        self._ip(node, *(f"addr del {pod}/{_whole(pod)} dev lo" for pod in pods))

    def carrier(self, state: str) -> None:
        """Pull or plug worker-0's cable."""
        self._ip(self.switch, f"link set wire {state}")

    def close(self) -> None:
        """End it all."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()

    def _namespace(self) -> int:
        process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.processes.append(process)
        comm = Path(f"/proc/{process.pid}/comm")
        self._machine.wait(lambda: comm.read_text().strip() == "sleep", "a namespace")
        return process.pid

    @staticmethod
    def _ip(process: int, *commands: str) -> None:
        words = ["nsenter", "-t", str(process), "-n", "ip", "-batch", "-"]
        subprocess.run(words, input="\n".join(commands), text=True, check=True)


class Flow:
    """Packets to every pod, all the time, from a thread in worker-0's network; each that is answered is counted."""

    def __init__(self, pods: Sequence[str] = PODS) -> None:
        self._sent = dict.fromkeys(pods, 0)
        self._answered: dict[str, set[int]] = {pod: set() for pod in pods}
        self._end = threading.Event()
        self._sockets = {pod: socket.socket(_FAMILIES[":" in pod], socket.SOCK_DGRAM) for pod in self._sent}
        for each in self._sockets.values():
            each.setblocking(False)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def answered(self) -> dict[str, int]:
        """Return how many packets each pod has answered."""
        return {pod: len(numbers) for pod, numbers in self._answered.items()}

    def stop(self) -> dict[str, int]:
        """End it once the last packet is answered or lost; return how many were lost on the way to each pod."""
        self._end.set()
        self._thread.join()
        for each in self._sockets.values():
            each.close()
        return {pod: self._sent[pod] - len(numbers) for pod, numbers in self._answered.items()}

    def _run(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            for pod in self._sent:
                self._sent[pod] += 1
                try:
                    self._sockets[pod].sendto(struct.pack("!Q", self._sent[pod]), (pod, PORT))
                except OSError:
                    continue  # no route: lost
            due += _PAUSE
            while (rest := due - time.monotonic()) > 0:
                self._receive(rest)
        end = time.monotonic() + 2
        while time.monotonic() < end and any(self._sent[pod] != len(self._answered[pod]) for pod in self._sent):
            self._receive(0.1)

    def _receive(self, patience: float) -> None:
        """Take in what is there, or comes within PATIENCE seconds."""
        pods = {each: pod for pod, each in self._sockets.items()}
        while ready := select.select(list(pods), [], [], patience)[0]:
            patience = 0
            for each in ready:
                try:
                    data = each.recv(64)
                except OSError:  # what an ICMP error says about a packet of before
                    continue
                self._answered[pods[each]].add(struct.unpack("!Q", data)[0])

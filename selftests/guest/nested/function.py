# SPDX-License-Identifier: GPL-2.0-only
"""A guest's card that is a virtio function of this machine, which shunt_vfio has."""

import os

from . import vm
from .door import DoorNic, Server


class FunctionNic(vm.Nic):
    """No TAP, no vhost device, but a node that the VMM opens: /dev/shunt-vfio/BDF."""

    def __init__(self, node, *args, **kwargs):
        """node: its path; the others: of Nic."""
        super().__init__(*args, **kwargs)
        self._node = node

    def open(self):
        """Nothing is opened here."""
        return [], []

    def netdev(self, taps, vhosts):
        """The -netdev properties."""
        return {'type': 'vhost-vdpa', 'id': f'n-{self.name}', 'vhostdev': self._node}

    def device(self):
        """The -device properties; the guest has no IOMMU of its own, but the function is told."""
        return {**super().device(), 'iommu_platform': True, 'disable-legacy': True}


class FunctionDoor(Server):
    """`shunt pci serve` of a function, given by its node."""

    def __init__(self, node, *options):
        super().__init__(f'pci serve {os.path.basename(node)}', '--memory', '1G', *options)


class FunctionDoorNic(DoorNic):
    """A card that is a function behind vhost-user: QEMU knows nothing of it."""

    def __init__(self, node, *args, **kwargs):
        """node: of the function; the others: of Nic."""
        super().__init__(*args, **kwargs)
        self._node = node

    def open(self):
        """Have the door, which may be there from another guest."""
        if not self.door:
            self.door = FunctionDoor(self._node)
            self.door.start()
        return [], []

// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of SR-IOV functions, with libnl-route: a request each, so that a refusal names it. */
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/sriov.h>
#include <stdio.h>
#include <string.h>

#include "link.h"
#include "pcivf.h"

/**
 * struct change - a function of an interface, and what is to be changed of it
 * @conn: socket
 * @link: the interface, as it was
 * @name: its name
 * @index: the function
 */
struct change {
	struct nl_sock *conn;
	struct rtnl_link *link;
	const char *name;
	unsigned int index;
};

static enum status refused(const struct change *change, const char *what, int error,
			   struct failure *why)
{
	return failed(why, error == -NLE_PERM ? ST_PRIVILEGE : ST_PCI_VF_SET,
		      "function %u of %s: %s: %s", change->index, change->name, what,
		      nl_geterror(error));
}

/* Takes @vf. */
static enum status request(const struct change *change, struct rtnl_link_vf *vf, const char *what,
			   struct failure *why)
{
	struct rtnl_link *wanted = rtnl_link_alloc();
	int error = -NLE_NOMEM;

	rtnl_link_vf_set_index(vf, change->index);
	if (wanted)
		error = rtnl_link_vf_add(wanted, vf);
	if (!error)
		error = rtnl_link_change(change->conn, change->link, wanted, 0);
	/* The last reference to what was added is the list's. */
	if (wanted)
		rtnl_link_put(wanted);
	rtnl_link_vf_put(vf);
	return error ? refused(change, what, error, why) : ST_OK;
}

static enum status no_memory(struct failure *why)
{
	return failed(why, ST_SYSTEM, "netlink: out of memory");
}

static enum status set_mac(const struct change *change, const uint8_t mac[6], struct failure *why)
{
	struct rtnl_link_vf *vf = rtnl_link_vf_alloc();
	struct nl_addr *address = nl_addr_build(AF_LLC, mac, 6);
	enum status status;

	if (!vf || !address) {
		if (vf)
			rtnl_link_vf_put(vf);
		nl_addr_put(address);
		return no_memory(why);
	}
	rtnl_link_vf_set_addr(vf, address);
	status = request(change, vf, "mac", why);
	nl_addr_put(address);
	return status;
}

static enum status set_vlan(const struct change *change, unsigned int vlan, unsigned int qos,
			    struct failure *why)
{
	struct rtnl_link_vf *vf = rtnl_link_vf_alloc();
	nl_vf_vlans_t *vlans = NULL;
	enum status status;

	if (!vf || rtnl_link_vf_vlan_alloc(&vlans, 1)) {
		if (vf)
			rtnl_link_vf_put(vf);
		return no_memory(why);
	}
	vlans->vlans[0].vf_vlan = vlan;
	vlans->vlans[0].vf_vlan_qos = qos;
	rtnl_link_vf_set_vlans(vf, vlans);
	status = request(change, vf, "vlan", why);
	rtnl_link_vf_vlan_put(vlans);
	return status;
}

static enum status set_switch(const struct change *change,
			      void (*set)(struct rtnl_link_vf *vf, uint32_t on), bool on,
			      const char *what, struct failure *why)
{
	struct rtnl_link_vf *vf = rtnl_link_vf_alloc();

	if (!vf)
		return no_memory(why);
	set(vf, on);
	return request(change, vf, what, why);
}

/* One that has none is in VLAN 0, however that is told. */
static bool vlan_differs(struct rtnl_link_vf *vf, const struct pci_vf_wish *wish)
{
	uint32_t vlan = 0, qos = 0;
	nl_vf_vlans_t *vlans;

	if (!rtnl_link_vf_get_vlans(vf, &vlans)) {
		if (vlans->size) {
			vlan = vlans->vlans[0].vf_vlan;
			qos = vlans->vlans[0].vf_vlan_qos;
		}
		rtnl_link_vf_vlan_put(vlans);
	}
	return vlan != (uint32_t)wish->vlan || qos != wish->qos;
}

const char *pci_vf_differs(struct rtnl_link_vf *vf, const struct pci_vf_wish *wish)
{
	struct nl_addr *mac;
	uint32_t on;

	if (wish->has_mac && (rtnl_link_vf_get_addr(vf, &mac) || nl_addr_get_len(mac) != 6 ||
			      memcmp(nl_addr_get_binary_addr(mac), wish->mac, 6)))
		return "mac";
	if (wish->vlan >= 0 && vlan_differs(vf, wish))
		return "vlan";
	if (wish->spoofcheck >= 0 &&
	    (rtnl_link_vf_get_spoofchk(vf, &on) || !on != !wish->spoofcheck))
		return "spoofcheck";
	if (wish->trust >= 0 && (rtnl_link_vf_get_trust(vf, &on) || !on != !wish->trust))
		return "trust";
	return NULL;
}

static enum status verify(const struct change *change, const struct pci_vf_wish *wish,
			  struct failure *why)
{
	enum status status = ST_OK;
	struct rtnl_link_vf *vf;
	struct rtnl_link *link;
	const char *what;
	int error;

	error = rtnl_link_get_kernel(change->conn, 0, change->name, &link);
	if (error)
		return refused(change, "reading back", error, why);
	vf = rtnl_link_vf_get(link, change->index);
	what = vf ? pci_vf_differs(vf, wish) : "which the interface does not have";
	if (what)
		status = failed(why, ST_PCI_VF_SET, "function %u of %s: %s is not as wanted",
				change->index, change->name, what);
	if (vf)
		rtnl_link_vf_put(vf);
	rtnl_link_put(link);
	return status;
}

enum status pci_vf_set(const char *interface, const struct pci_vf_wish *wish, struct failure *why)
{
	struct change change = { .name = interface, .index = wish->index };
	enum status status;
	int error;

	status = link_connect(&change.conn, why);
	if (status)
		return status;
	error = rtnl_link_get_kernel(change.conn, 0, interface, &change.link);
	if (error) {
		link_disconnect(change.conn);
		return refused(&change, "the interface", error, why);
	}
	if (wish->has_mac)
		status = set_mac(&change, wish->mac, why);
	if (!status && wish->vlan >= 0)
		status = set_vlan(&change, (unsigned int)wish->vlan, wish->qos, why);
	if (!status && wish->spoofcheck >= 0)
		status = set_switch(&change, rtnl_link_vf_set_spoofchk, wish->spoofcheck,
				    "spoofcheck", why);
	if (!status && wish->trust >= 0)
		status = set_switch(&change, rtnl_link_vf_set_trust, wish->trust, "trust", why);
	if (!status)
		status = verify(&change, wish, why);
	rtnl_link_put(change.link);
	link_disconnect(change.conn);
	return status;
}

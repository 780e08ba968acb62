package server

import (
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// packets is a UDP socket that takes and sends several packets at once. One that listens at all addresses sends each answer from the
// address that was asked, or the client would not take it.
type packets struct {
	batcher
	// control is how many octets say to which address a packet was sent; 0 for a socket with one address.
	control int
	v6      bool
}

// batcher is what both families have. Their messages are of one type.
type batcher interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// controlSize is enough for a control message of either family.
const controlSize = 64

func newPackets(conn *net.UDPConn) packets {
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || !local.IP.IsUnspecified() {
		return packets{batcher: ipv4.NewPacketConn(conn)}
	}
	if p := ipv6.NewPacketConn(conn); p.SetControlMessage(ipv6.FlagDst, true) == nil {
		return packets{batcher: p, control: controlSize, v6: true}
	}
	p := ipv4.NewPacketConn(conn)
	if p.SetControlMessage(ipv4.FlagDst, true) == nil {
		return packets{batcher: p, control: controlSize}
	}
	return packets{batcher: p} // The system chooses the address, as on a machine with one it always can.
}

// source is the control message that has an answer sent from where its question was sent to. A socket of IPv6 takes both
// families, and control messages of both.
func (p packets) source(question *ipv4.Message) []byte {
	to := p.askedAt(question)
	switch {
	case to == nil:
		return nil
	case to.To4() != nil:
		return (&ipv4.ControlMessage{Src: to}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: to}).Marshal()
}

func (p packets) askedAt(question *ipv4.Message) net.IP {
	control := question.OOB[:min(question.NN, p.control)]
	if len(control) == 0 {
		return nil
	}
	if p.v6 {
		var m ipv6.ControlMessage
		if m.Parse(control) == nil {
			return m.Dst
		}
		return nil
	}
	var m ipv4.ControlMessage
	if m.Parse(control) == nil {
		return m.Dst
	}
	return nil
}

//! Packets of a transport stream: sync, header, payload, continuity counters.

use super::ProbeError;

/// Bytes of a packet. Source: spec/hls.md, section 9; ISO/IEC 13818-1, 2.4.3.2.
pub(super) const PACKET_LEN: usize = 188;
/// First byte of every packet.
pub(super) const SYNC_BYTE: u8 = 0x47;
/// PID of padding.
const NULL_PID: u16 = 0x1fff;
/// How many PIDs there are (13 bits).
const PID_COUNT: usize = 0x2000;

/// The bytes of one packet.
pub(super) type PacketBytes = [u8; PACKET_LEN];

/// Cuts `data` into packets; refuses what is not whole packets from the first byte to the last.
pub(super) fn split_packets(data: &[u8]) -> Result<&[PacketBytes], ProbeError> {
    match data.first() {
        None => return Err(ProbeError::Empty),
        Some(&SYNC_BYTE) => {}
        Some(_) => return Err(ProbeError::NotTransportStream),
    }
    let (packets, rest) = data.as_chunks::<PACKET_LEN>();
    if let Some(lost) = packets.iter().position(|packet| packet[0] != SYNC_BYTE) {
        return Err(ProbeError::LostSync { offset: lost * PACKET_LEN });
    }
    if !rest.is_empty() {
        return Err(ProbeError::Truncated { size: data.len() });
    }
    Ok(packets)
}

/// What the probe needs of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// A PES packet or a PSI section starts in the payload.
    pub(super) unit_start: bool,
    /// Continuity counter, 0 to 15.
    counter: u8,
    /// The muxer announces that the counter may jump here.
    announces_jump: bool,
    /// Empty when the packet has none.
    pub(super) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the header. `None`: marked as damaged, scrambled, or its adaptation field does not
    /// fit; nothing of such a packet can be trusted.
    pub(super) fn parse(bytes: &'a PacketBytes) -> Option<Self> {
        let [_, b1, b2, b3, body @ ..] = bytes;
        let (transport_error, scrambled) = (b1 & 0x80 != 0, b3 & 0xc0 != 0);
        if transport_error || scrambled {
            return None;
        }
        let (flags, payload) = match b3 & 0x30 {
            0x10 => (0, body.as_slice()),
            0x20 => (adaptation(body)?.0, &[][..]),
            0x30 => adaptation(body)?,
            _ => return None,
        };
        Some(Self {
            pid: u16::from_be_bytes([b1 & 0x1f, *b2]),
            unit_start: b1 & 0x40 != 0,
            counter: b3 & 0x0f,
            announces_jump: flags & 0x80 != 0,
            payload,
        })
    }
}

/// Flags of the adaptation field (0 when it is empty), and what follows it.
fn adaptation(body: &[u8]) -> Option<(u8, &[u8])> {
    let (&len, rest) = body.split_first()?;
    let (field, payload) = rest.split_at_checked(usize::from(len))?;
    Some((field.first().copied().unwrap_or_default(), payload))
}

/// What the continuity counter says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Packets of this PID are missing before this one.
    Jump,
    /// The next one.
    Next,
    /// The previous one once more, as a muxer may send it: to be skipped.
    Repeat,
    /// The previous one a third time: to be skipped, and an error.
    RepeatAgain,
}

/// Follows the continuity counter of every PID: one more, modulo 16, for each packet with payload;
/// a repetition is allowed once. Source: spec/hls.md, section 9, "Continuity counter".
pub(super) struct Counters<'a> {
    packets: &'a [PacketBytes],
    /// For each PID: 0 for unseen, else the last packet with payload as (index + 1) * 2, plus 1
    /// when that was a repetition. A page of zeros costs nothing until it is used.
    last: Vec<u32>,
}

impl<'a> Counters<'a> {
    pub(super) fn new(packets: &'a [PacketBytes]) -> Self {
        Self { packets, last: vec![0; PID_COUNT] }
    }

    /// Judges the packet at `index`; each packet must be shown once and in order.
    pub(super) fn order(&mut self, index: usize, packet: &Packet<'_>) -> Order {
        if packet.payload.is_empty() || packet.pid == NULL_PID {
            return Order::Next;
        }
        let Some(last) = self.last.get_mut(usize::from(packet.pid)) else { return Order::Next };
        // 2^31 packets are 400 GB; beyond that the counters are not checked.
        let Some(place) = u32::try_from(index + 1).ok().and_then(|n| n.checked_mul(2)) else {
            return Order::Next;
        };
        let before = std::mem::replace(last, place);
        let previous = (before as usize / 2)
            .checked_sub(1)
            .and_then(|index| self.packets.get(index))
            .and_then(Packet::parse);
        let Some(previous) = previous else { return Order::Next };
        if packet.counter == previous.counter && packet.payload == previous.payload {
            *last = place + 1;
            return if before & 1 == 0 { Order::Repeat } else { Order::RepeatAgain };
        }
        if packet.announces_jump || packet.counter == (previous.counter + 1) & 0x0f {
            Order::Next
        } else {
            Order::Jump
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with payload: `fill` after the header.
    fn packet(pid: u16, counter: u8, fill: u8) -> PacketBytes {
        let mut bytes = [fill; PACKET_LEN];
        let [high, low] = pid.to_be_bytes();
        bytes[..4].copy_from_slice(&[SYNC_BYTE, high, low, 0x10 | counter]);
        bytes
    }

    fn orders(packets: &[PacketBytes]) -> Vec<Order> {
        let mut counters = Counters::new(packets);
        packets
            .iter()
            .enumerate()
            .map(|(index, bytes)| counters.order(index, &Packet::parse(bytes).unwrap()))
            .collect()
    }

    #[test]
    fn each_damage_to_the_packets_has_its_own_error() {
        assert_eq!(split_packets(b""), Err(ProbeError::Empty));
        assert_eq!(split_packets(b"<html>"), Err(ProbeError::NotTransportStream));
        let mut data = [packet(1, 0, 0), packet(1, 1, 0)].concat();
        assert_eq!(split_packets(&data).map(<[_]>::len), Ok(2));
        assert_eq!(split_packets(&data[..200]), Err(ProbeError::Truncated { size: 200 }));
        assert_eq!(split_packets(&data[..1]), Err(ProbeError::Truncated { size: 1 }));
        data[PACKET_LEN] = 0;
        assert_eq!(split_packets(&data), Err(ProbeError::LostSync { offset: PACKET_LEN }));
    }

    #[test]
    fn an_adaptation_field_that_does_not_fit_is_damage() {
        let mut bytes = packet(5, 0, 0);
        bytes[3] = 0x30;
        bytes[4] = 183;
        assert_eq!(Packet::parse(&bytes).map(|p| p.payload.len()), Some(0));
        bytes[4] = 184;
        assert_eq!(Packet::parse(&bytes), None);
        bytes[4] = 0;
        assert_eq!(Packet::parse(&bytes).map(|p| p.payload.len()), Some(183));
    }

    #[test]
    fn packets_marked_damaged_or_scrambled_are_not_read() {
        let mut bytes = packet(5, 0, 0);
        bytes[1] |= 0x80;
        assert_eq!(Packet::parse(&bytes), None);
        let mut bytes = packet(5, 0, 0);
        bytes[3] |= 0x80;
        assert_eq!(Packet::parse(&bytes), None);
        let mut bytes = packet(5, 0, 0);
        bytes[3] = 0;
        assert_eq!(Packet::parse(&bytes), None);
    }

    #[test]
    fn counters_wrap_at_sixteen_and_each_pid_has_its_own() {
        let packets = [packet(1, 15, 1), packet(2, 7, 1), packet(1, 0, 2), packet(2, 8, 2)];
        assert_eq!(orders(&packets), [Order::Next; 4]);
    }

    #[test]
    fn a_repetition_is_allowed_once() {
        let packets = [packet(1, 3, 1), packet(1, 3, 1), packet(1, 3, 1), packet(1, 4, 2)];
        assert_eq!(orders(&packets), [Order::Next, Order::Repeat, Order::RepeatAgain, Order::Next]);
    }

    #[test]
    fn the_same_counter_with_another_payload_is_a_jump() {
        let packets = [packet(1, 3, 1), packet(1, 3, 2), packet(1, 5, 3)];
        assert_eq!(orders(&packets), [Order::Next, Order::Jump, Order::Jump]);
    }

    #[test]
    fn an_announced_jump_is_none() {
        let mut jump = packet(1, 9, 2);
        jump[3] |= 0x20;
        jump[4..6].copy_from_slice(&[1, 0x80]);
        assert_eq!(orders(&[packet(1, 3, 1), jump]), [Order::Next; 2]);
    }

    #[test]
    fn padding_and_packets_without_payload_do_not_count() {
        let mut clock_only = packet(1, 3, 0);
        clock_only[3] = 0x23;
        clock_only[4] = 183;
        let packets = [packet(1, 3, 1), clock_only, packet(1, 4, 2), packet(0x1fff, 0, 0)];
        assert_eq!(orders(&packets), [Order::Next; 4]);
    }
}

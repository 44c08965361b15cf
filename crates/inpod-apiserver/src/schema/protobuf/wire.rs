//! Protobuf's wire format: fields of a number and a datum, one after the other.

/// What is wrong with a message.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

/// The value of a field, as far as the wire format tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Datum<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, or a group, of which no Kubernetes type has any.
    Other(u8),
}

/// Reads the fields of a message in order.
pub(super) struct Reader<'a> {
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    /// The next field: its number and datum.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Datum<'a>)>, Problem> {
        if self.data.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let wire_type = (tag & 7) as u8;
        let number = match u32::try_from(tag >> 3) {
            Ok(number) if number > 0 && number < 1 << 29 => number,
            _ => return Err(Problem(format!("proto: illegal tag {tag}"))),
        };
        let datum = match wire_type {
            0 => Datum::Varint(self.varint()?),
            1 => self.take(8).map(|_| Datum::Other(wire_type))?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| unexpected_end())?;
                Datum::Bytes(self.take(length)?)
            }
            3 => self.group(number).map(|()| Datum::Other(wire_type))?,
            5 => self.take(4).map(|_| Datum::Other(wire_type))?,
            _ => return Err(Problem(format!("proto: illegal wireType {wire_type}"))),
        };
        Ok(Some((number, datum)))
    }

    /// The next number of a packed list.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, Problem> {
        if self.data.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    fn varint(&mut self) -> Result<u64, Problem> {
        let mut value = 0;
        for (i, byte) in self.data.iter().enumerate() {
            if i == 10 {
                return Err(Problem("proto: integer overflow".into()));
            }
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * u32::try_from(i).unwrap_or(0));
            if byte & 0x80 == 0 {
                self.data = &self.data[i + 1..];
                return Ok(value);
            }
        }
        Err(unexpected_end())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self
            .data
            .split_at_checked(length)
            .ok_or_else(unexpected_end)?;
        self.data = rest;
        Ok(taken)
    }

    /// Reads past a group, and those in it, without recursion.
    fn group(&mut self, number: u32) -> Result<(), Problem> {
        let mut open = vec![u64::from(number)];
        while let Some(innermost) = open.last().copied() {
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let length = usize::try_from(self.varint()?).map_err(|_| unexpected_end())?;
                    self.take(length)?;
                }
                3 => open.push(tag >> 3),
                4 if tag >> 3 == innermost => drop(open.pop()),
                5 => drop(self.take(4)?),
                _ => return Err(Problem("proto: unexpected end of group".into())),
            }
        }
        Ok(())
    }
}

impl<'a> Datum<'a> {
    pub(super) fn varint(self) -> Result<u64, Problem> {
        match self {
            Self::Varint(value) => Ok(value),
            Self::Bytes(_) => Err(wrong_wire_type(2)),
            Self::Other(wire_type) => Err(wrong_wire_type(wire_type)),
        }
    }

    pub(super) fn int64(self) -> Result<i64, Problem> {
        Ok(self.varint()?.cast_signed())
    }

    /// Of a longer number, the lower half, as Go takes it.
    pub(super) fn int32(self) -> Result<i32, Problem> {
        let low = self.varint()? & u64::from(u32::MAX);
        Ok(u32::try_from(low).unwrap_or_default().cast_signed())
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Problem> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) => Err(wrong_wire_type(0)),
            Self::Other(wire_type) => Err(wrong_wire_type(wire_type)),
        }
    }

    /// What is no UTF-8 becomes U+FFFD, as when Go encodes it as JSON.
    pub(super) fn string(self) -> Result<String, Problem> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}

fn unexpected_end() -> Problem {
    Problem("unexpected EOF".into())
}

fn wrong_wire_type(wire_type: u8) -> Problem {
    Problem(format!("proto: wrong wireType = {wire_type}"))
}

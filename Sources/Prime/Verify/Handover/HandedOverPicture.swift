internal import Prime

/// A picture that came through a socket, with everything that was said of it found true of the descriptors themselves.
struct HandedOverPicture: ~Copyable {
  /// What the exporter says.
  let offer: HandoverOffer
  /// Where the picture lies, in the buffer.
  let description: BufferDescription
  /// The dma-buf.
  let buffer: DMABuf

  /// Checks an offer against its descriptors, all of which are closed where it does not hold.
  init(offering bytes: [UInt8], _ descriptors: HandoverDescriptors, from subject: String) throws(PrimeError) {
    let offer: HandoverOffer
    let format: PixelFormat
    do throws(HandoverError) {
      offer = try HandoverOffer(parsing: bytes)
      guard descriptors.count == offer.bufferCount else {
        throw HandoverError.descriptorCount(announced: offer.bufferCount, given: descriptors.count)
      }
      format = try offer.format()
    } catch {
      throw .againstProtocol(error, subject)
    }
    // One dma-buf may come under several descriptors; the first stays open and the others were only looked at.
    let first = try Self.adopt(descriptors, 0, subject)
    var sizes = [first.byteCount]
    var identities: Set<DMABuf.Identity> = [first.identity]
    try Self.check(first, 0, offer, subject)
    for index in 1..<max(1, offer.bufferCount) {
      let other = try Self.adopt(descriptors, index, subject)
      sizes.append(other.byteCount)
      identities.insert(other.identity)
      try Self.check(other, index, offer, subject)
    }
    let layout: PictureLayout
    do throws(HandoverError) {
      try offer.checkPlanes(fit: sizes, format: format)
      guard identities.count == 1 else { throw HandoverError.separateBuffers(identities.count) }
      layout = try offer.layout(format)
    } catch {
      throw .againstProtocol(error, subject)
    }
    self.offer = offer
    self.description = BufferDescription(layout: layout, modifier: offer.modifier)
    self.buffer = first
  }

  private static func adopt(
    _ descriptors: HandoverDescriptors, _ index: Int, _ subject: String
  ) throws(PrimeError) -> DMABuf {
    do throws(PrimeError) {
      return try DMABuf(adopting: descriptors.takeFirst())
    } catch {
      throw error.during(
        .handover, on: subject,
        reason: "descriptor \(index): \(error.reason ?? "\(error.operation) failed with \(error.explanation)")")
    }
  }

  private static func check(
    _ buffer: borrowing DMABuf, _ index: Int, _ offer: HandoverOffer, _ subject: String
  ) throws(PrimeError) {
    guard buffer.access == offer.access else {
      throw .againstProtocol(.access(buffer: index, said: offer.access, is: buffer.access), subject)
    }
  }
}

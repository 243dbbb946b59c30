internal import Prime

/// A picture that came through a socket, with everything that was said of it found true of the descriptors themselves.
struct HandedOverPicture: ~Copyable {
  /// What the exporter says.
  let offer: HandoverOffer
  /// The picture, each dma-buf once.
  let picture: SharedPicture

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
    let first = try Self.adopt(descriptors, 0, offer, subject)
    var others: [Box<DMABuf>] = []
    var identities = [first.identity]
    var numbers = [0]
    for index in 1..<max(1, offer.bufferCount) {
      let other = try Self.adopt(descriptors, index, offer, subject)
      let identity = other.identity
      if let known = identities.firstIndex(of: identity) {
        numbers.append(known)
      } else {
        numbers.append(identities.count)
        identities.append(identity)
        others.append(Box(other))
      }
    }
    let layout: PictureLayout
    do throws(HandoverError) {
      layout = try offer.layout(format, in: numbers)
    } catch {
      throw .againstProtocol(error, subject)
    }
    self.picture = try Self.picture(BufferDescription(layout: layout, modifier: offer.modifier), first, others, subject)
    self.offer = offer
  }

  private static func picture(
    _ description: BufferDescription, _ first: consuming DMABuf, _ others: [Box<DMABuf>], _ subject: String
  ) throws(PrimeError) -> SharedPicture {
    do throws(LayoutError) {
      return try SharedPicture(description, first: first, others: others)
    } catch {
      throw .againstProtocol(.layout(error), subject)
    }
  }

  private static func adopt(
    _ descriptors: HandoverDescriptors, _ index: Int, _ offer: HandoverOffer, _ subject: String
  ) throws(PrimeError) -> DMABuf {
    let buffer: DMABuf
    do throws(PrimeError) {
      buffer = try DMABuf(adopting: descriptors.takeFirst())
    } catch {
      throw error.during(
        .handover, on: subject,
        reason: "descriptor \(index): \(error.reason ?? "\(error.operation) failed with \(error.explanation)")")
    }
    guard buffer.access == offer.access else {
      throw .againstProtocol(.access(buffer: index, said: offer.access, is: buffer.access), subject)
    }
    return buffer
  }
}

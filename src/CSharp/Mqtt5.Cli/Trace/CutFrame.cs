namespace Mqtt5.Cli;

/// <summary>A packet with its bytes, or bytes that are none.</summary>
/// <param name="Offset">The first byte, counted from the start of the direction.</param>
/// <param name="Bytes">The bytes.</param>
/// <param name="Packet">The packet; null: the bytes are none.</param>
/// <param name="Fault">What is wrong with them; null: nothing.</param>
internal sealed record CutFrame(long Offset, byte[] Bytes, Packet? Packet, Fault? Fault);

using Microsoft.Extensions.Logging;

namespace Mqtt5.Engine;

// The log of a client. It never holds payloads, credentials or authentication data.
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Connected (connection {Number}, session present: {SessionPresent})")]
    public static partial void Connected(ILogger logger, int number, bool sessionPresent);

    [LoggerMessage(2, LogLevel.Warning, "Connection lost: {Cause}; next attempt in {Delay}")]
    public static partial void Lost(ILogger logger, string? cause, TimeSpan delay);

    [LoggerMessage(3, LogLevel.Information, "Connection closed: {Cause}")]
    public static partial void Closed(ILogger logger, string? cause);

    [LoggerMessage(4, LogLevel.Debug, "Connection {Number} ended")]
    public static partial void LinkEnded(ILogger logger, int number, Exception failure);

    [LoggerMessage(5, LogLevel.Trace, "Connection {Number} sends {Packet} of {Bytes} bytes")]
    public static partial void Sent(ILogger logger, int number, PacketType packet, int bytes);

    [LoggerMessage(6, LogLevel.Warning, "A message cannot be sent on this connection: {Reason}")]
    public static partial void Undeliverable(ILogger logger, ReasonCode reason);

    [LoggerMessage(7, LogLevel.Error, "A handler of {What} failed")]
    public static partial void HandlerFailed(ILogger logger, string what, Exception failure);

    [LoggerMessage(8, LogLevel.Warning, "The queue of a subscription is full; messages of QoS 0 are dropped")]
    public static partial void Dropping(ILogger logger);

    [LoggerMessage(9, LogLevel.Warning, "Messages that no subscription takes wait unacknowledged until the application has subscribed to their topics")]
    public static partial void Unclaimed(ILogger logger);

    [LoggerMessage(10, LogLevel.Warning, "Messages that no subscription takes are dropped")]
    public static partial void DroppedUnclaimed(ILogger logger);
}

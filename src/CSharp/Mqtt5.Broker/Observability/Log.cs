using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// The log messages of a broker. They never hold payloads, passwords or authentication data. Values chosen by peers are
// escaped and truncated before they are queued, against log forging and memory exhaustion.
internal static partial class Log
{
    public static void Connected(ILogger logger, string clientId, string version, string? endPoint, long number, bool sessionPresent)
    {
        if (logger.IsEnabled(LogLevel.Information))
            WriteConnected(logger, PeerText.Show(clientId), endPoint, version, number, sessionPresent);
    }

    public static void Disconnected(ILogger logger, string clientId, string cause)
    {
        if (logger.IsEnabled(LogLevel.Information))
            WriteDisconnected(logger, PeerText.Show(clientId), PeerText.Show(cause));
    }

    public static void AuthenticatedAsAnother(ILogger logger, string clientId)
    {
        if (logger.IsEnabled(LogLevel.Warning))
            WriteAuthenticatedAsAnother(logger, PeerText.Show(clientId));
    }

    public static void PublishRefused(ILogger logger, string clientId, ReasonCode reason)
    {
        if (logger.IsEnabled(LogLevel.Debug))
            WritePublishRefused(logger, PeerText.Show(clientId), reason);
    }

    // The values of the Host and Origin headers.
    public static void PageRefused(ILogger logger, string? endPoint, string host, string origin)
    {
        if (logger.IsEnabled(LogLevel.Warning))
            WritePageRefused(logger, endPoint, PeerText.Show(host), PeerText.Show(origin));
    }

    // The caller has asked whether the level is enabled.
    public static void Refused(ILogger logger, string? endPoint, string? userName, string kind, string detail) =>
        WriteRefused(logger, endPoint, userName is null ? "-" : PeerText.Show(userName), kind, PeerText.Show(detail));

    [LoggerMessage(104, LogLevel.Debug, "The transport of connection {Number} ended")]
    public static partial void TransportFailed(ILogger logger, long number, Exception failure);

    [LoggerMessage(105, LogLevel.Error, "The authenticator failed")]
    public static partial void AuthenticatorFailed(ILogger logger, Exception failure);

    [LoggerMessage(106, LogLevel.Error, "A hook for {What} failed")]
    public static partial void HookFailed(ILogger logger, string what, Exception failure);

    [LoggerMessage(107, LogLevel.Critical, "Connection {Number} ended by a defect of the broker")]
    public static partial void Defect(ILogger logger, long number, Exception failure);

    [LoggerMessage(108, LogLevel.Critical, "The sweep failed")]
    public static partial void SweepFailed(ILogger logger, Exception failure);

    [LoggerMessage(130, LogLevel.Critical, "An event loop failed")]
    public static partial void LoopFailed(ILogger logger, Exception failure);

    [LoggerMessage(109, LogLevel.Information, "Listening on {Address}")]
    public static partial void Listening(ILogger logger, Uri address);

    [LoggerMessage(120, LogLevel.Information, "{Count} more refusals for the reason {Kind} were not logged")]
    public static partial void RefusalsUntold(ILogger logger, long count, string kind);

    [LoggerMessage(112, LogLevel.Debug, "The limit {Limit} was exceeded")]
    public static partial void LimitExceeded(ILogger logger, string limit);

    [LoggerMessage(113, LogLevel.Warning, "{Count} entries of the log were dropped, because it is written too slowly")]
    public static partial void EntriesDropped(ILogger logger, long count);

    [LoggerMessage(115, LogLevel.Warning, "The machine has {Descriptors} descriptors and {MemoryMegabytes} MB of memory for this process, so these limits are lower than their defaults: {Limits}")]
    public static partial void LimitsDerived(ILogger logger, long descriptors, long memoryMegabytes, string limits);

    [LoggerMessage(116, LogLevel.Warning, "No more connections are accepted at {EndPoint} until some have ended: the process is short of {What}")]
    public static partial void AcceptingPaused(ILogger logger, System.Net.EndPoint? endPoint, string what);

    [LoggerMessage(117, LogLevel.Information, "Connections are accepted at {EndPoint} again")]
    public static partial void AcceptingResumed(ILogger logger, System.Net.EndPoint? endPoint);

    [LoggerMessage(118, LogLevel.Information, "The socket {Path} was left by a process that has ended, and is taken over")]
    public static partial void SocketTakenOver(ILogger logger, string path);

    [LoggerMessage(121, LogLevel.Debug, "The WebSocket from {Address}, port {Port}, failed")]
    public static partial void WebSocketFailed(ILogger logger, System.Net.IPAddress? address, int port, Exception failure);

    [LoggerMessage(122, LogLevel.Information, "No more connections are accepted at {Address}")]
    public static partial void NotListening(ILogger logger, Uri address);

    [LoggerMessage(123, LogLevel.Critical, "The listener at {Address} is lost: it was to be changed, and cannot be opened again")]
    public static partial void ListenerLost(ILogger logger, Uri address, Exception failure);

    [LoggerMessage(140, LogLevel.Information, "The store is read: {Records} records, {Sessions} sessions, {Retained} retained messages, in {Milliseconds} ms")]
    public static partial void StoreRead(ILogger logger, long records, int sessions, int retained, long milliseconds);

    [LoggerMessage(141, LogLevel.Information, "The store is being read: {Records} records until now")]
    public static partial void StoreReading(ILogger logger, long records);

    [LoggerMessage(142, LogLevel.Error, "The disk of the store is full: nothing more is acknowledged until there is room")]
    public static partial void StoreIsFull(ILogger logger, Exception failure);

    [LoggerMessage(143, LogLevel.Information, "The store has room again")]
    public static partial void StoreHasRoom(ILogger logger);

    [LoggerMessage(144, LogLevel.Critical, "The store failed: all connections end, and nothing that is not durable is acknowledged")]
    public static partial void StoreFailed(ILogger logger, Exception failure);

    [LoggerMessage(145, LogLevel.Warning, "The store has {FreeBytes} free bytes, fewer than {MinimumFreeBytes}: what would have to be stored is refused")]
    public static partial void StoreIsLow(ILogger logger, long freeBytes, long minimumFreeBytes);

    [LoggerMessage(101, LogLevel.Information, "Client {ClientId} connected from {EndPoint} ({Version}, connection {Number}, session present: {SessionPresent})")]
    private static partial void WriteConnected(
        ILogger logger, string clientId, string? endPoint, string version, long number, bool sessionPresent);

    [LoggerMessage(103, LogLevel.Information, "A client from {EndPoint} with user name {UserName} is refused: {Kind}, {Detail}")]
    private static partial void WriteRefused(ILogger logger, string? endPoint, string userName, string kind, string detail);

    [LoggerMessage(102, LogLevel.Information, "Client {ClientId} disconnected: {Cause}")]
    private static partial void WriteDisconnected(ILogger logger, string clientId, string cause);

    [LoggerMessage(119, LogLevel.Debug, "A PUBLISH of client {ClientId} is refused: {Reason}")]
    private static partial void WritePublishRefused(ILogger logger, string clientId, ReasonCode reason);

    [LoggerMessage(110, LogLevel.Warning, "Client {ClientId} is cut off: it authenticated again under another name")]
    private static partial void WriteAuthenticatedAsAnother(ILogger logger, string clientId);

    [LoggerMessage(114, LogLevel.Warning, "A web page is refused a connection from {EndPoint}: Host {Host}, Origin {Origin}; ws-origins allows pages")]
    private static partial void WritePageRefused(ILogger logger, string? endPoint, string host, string origin);
}

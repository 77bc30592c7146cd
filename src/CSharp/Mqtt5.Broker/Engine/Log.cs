using Microsoft.Extensions.Logging;

namespace Mqtt5.Serving;

// The log of a broker. It never holds payloads, passwords or authentication data.
internal static partial class Log
{
    [LoggerMessage(101, LogLevel.Information, "Client {ClientId} connected from {EndPoint} (connection {Number}, session present: {SessionPresent})")]
    public static partial void Connected(ILogger logger, string clientId, string? endPoint, long number, bool sessionPresent);

    [LoggerMessage(102, LogLevel.Information, "Client {ClientId} disconnected: {Cause}")]
    public static partial void Disconnected(ILogger logger, string clientId, string cause);

    [LoggerMessage(103, LogLevel.Information, "A client from {EndPoint} is refused: {Reason}")]
    public static partial void Refused(ILogger logger, string? endPoint, ReasonCode reason);

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

    [LoggerMessage(110, LogLevel.Warning, "Client {ClientId} is cut off: it authenticated again under another name")]
    public static partial void AuthenticatedAsAnother(ILogger logger, string clientId);

    [LoggerMessage(111, LogLevel.Warning, "The PROXY header of {EndPoint} is refused: {Detail}")]
    public static partial void ProxyRefused(ILogger logger, System.Net.EndPoint? endPoint, string detail);

    [LoggerMessage(112, LogLevel.Debug, "The limit {Limit} was exceeded")]
    public static partial void LimitExceeded(ILogger logger, string limit);

    [LoggerMessage(113, LogLevel.Debug, "A PUBLISH of client {ClientId} is refused: {Reason}")]
    public static partial void PublishRefused(ILogger logger, string clientId, ReasonCode reason);

    [LoggerMessage(109, LogLevel.Information, "Listening on {Address}")]
    public static partial void Listening(ILogger logger, Uri address);
}

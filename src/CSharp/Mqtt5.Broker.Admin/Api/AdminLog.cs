using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Admin;

// The audit log: each change, and each that was refused, is one line with who and what. Texts of requests are escaped and cut.
internal static partial class AdminLog
{
    public static void Changed(ILogger logger, HttpContext context, string operation, string target)
    {
        if (logger.IsEnabled(LogLevel.Information))
            WriteChanged(logger, WhoOf(context), AddressOf(context), operation, PeerText.Show(target));
    }

    public static void Refused(ILogger logger, HttpContext context, string operation, string target, AdminProblem problem)
    {
        if (logger.IsEnabled(LogLevel.Warning))
            WriteRefused(logger, WhoOf(context), AddressOf(context), operation, PeerText.Show(target), problem.Status, PeerText.Show(problem.Message));
    }

    private static string WhoOf(HttpContext context) =>
        context.User.Identity is { IsAuthenticated: true, Name: { } name } ? PeerText.Show(name) : "anonymous";

    private static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress?.ToString() ?? "-";

    [LoggerMessage(160, LogLevel.Information, "{Who} from {Address}: {Operation} {Target}")]
    private static partial void WriteChanged(ILogger logger, string who, string address, string operation, string target);

    [LoggerMessage(161, LogLevel.Warning, "{Who} from {Address}: {Operation} {Target} is refused: {Status} {Why}")]
    private static partial void WriteRefused(ILogger logger, string who, string address, string operation, string target, int status, string why);
}

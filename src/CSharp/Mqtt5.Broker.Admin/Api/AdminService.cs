using System.Diagnostics.CodeAnalysis;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mqtt5.Admin;

// What the operations of one mapping share: the broker, the budgets, the metrics, and what is checked of every request.
// Its limiters and its listener of the meter are for the lifetime of the application, which ends them.
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "It lives as long as the application, whose end disposes them.")]
internal sealed class AdminService
{
    public const string LogCategory = "Mqtt5.Admin";

    public const string ChangeHeader = "Mqtt5-Admin";

    // Searches look at many entries; few run at a time, and few wait.
    private const int Searches = 2;
    private const int WaitingSearches = 32;

    private readonly ILogger logger;
    private readonly TokenBucketRateLimiter requests;
    private readonly ConcurrencyLimiter searches;
    private int streams;

    public AdminService(MqttBroker broker, MqttAdminOptions options, ILoggerFactory? loggers, IHostApplicationLifetime? lifetime)
    {
        Broker = broker;
        Options = options;
        Stopping = lifetime?.ApplicationStopping ?? CancellationToken.None;
        logger = loggers?.CreateLogger(LogCategory) ?? NullLogger.Instance;
        requests = new TokenBucketRateLimiter(new TokenBucketRateLimiterOptions
        {
            TokenLimit = options.RequestsPerSecond,
            TokensPerPeriod = options.RequestsPerSecond,
            ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            QueueLimit = 0,
        });
        searches = new ConcurrencyLimiter(new ConcurrencyLimiterOptions { PermitLimit = Searches, QueueLimit = WaitingSearches });
        Metrics = new MetricsCollector();
        History = new AdminHistory(broker.Inspection, TimeProvider.System);
        Recent = new RecentEvents(broker.Inspection, TimeProvider.System);
        lifetime?.ApplicationStopped.Register(End);
    }

    public MqttBroker Broker { get; }

    public MqttAdminOptions Options { get; }

    public MetricsCollector Metrics { get; }

    public AdminHistory History { get; }

    public RecentEvents Recent { get; }

    public CancellationToken Stopping { get; }

    public bool TryEnterStream()
    {
        if (Interlocked.Increment(ref streams) <= Options.EventStreams)
            return true;

        Interlocked.Decrement(ref streams);
        return false;
    }

    public void LeaveStream() => Interlocked.Decrement(ref streams);

    public async Task RunAsync(HttpContext context, AdminRoute route)
    {
        var call = new AdminCall(context, this, route);
        Protect(context.Response);

        try
        {
            Check(context, route);
            using var lease = route.IsSearch ? await searches.AcquireAsync(1, context.RequestAborted).ConfigureAwait(false) : null;

            if (lease is { IsAcquired: false })
                throw TooMany();

            await route.Run(call).ConfigureAwait(false);

            if (route.IsChange)
                AdminLog.Changed(logger, context, $"{route.Method} {route.Pattern}", call.Target);
        }
        catch (AdminProblem problem)
        {
            if (route.IsChange)
                AdminLog.Refused(logger, context, $"{route.Method} {route.Pattern}", call.Target, problem);

            await AnswerAsync(context, problem).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone.
        }
    }

    // A file of the dashboard.
    public Task RunAsync(HttpContext context, DashboardFile file)
    {
        Protect(context.Response);

        try
        {
            CheckBudget(context);
        }
        catch (AdminProblem problem)
        {
            return AnswerAsync(context, problem);
        }

        // Its files and the API are relative to the prefix with a slash at its end.
        if (file.ContentType.StartsWith("text/html", StringComparison.Ordinal) && context.Request.Path.Value is { } path && !path.EndsWith('/'))
        {
            context.Response.Redirect(path[(path.LastIndexOf('/') + 1)..] + "/");
            return Task.CompletedTask;
        }

        return DashboardFiles.AnswerAsync(context, file);
    }

    public static Task AnswerAsync(HttpContext context, AdminProblem problem)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.StatusCode = problem.Status;
        var answer = new ProblemAnswer("about:blank", TitleOf(problem.Status), problem.Status, problem.Message, problem.Where);
        return context.Response.WriteAsJsonAsync(answer, AdminJson.Default.ProblemAnswer, "application/problem+json", context.RequestAborted);
    }

    public static void Protect(HttpResponse response)
    {
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'";
        response.Headers["Referrer-Policy"] = "no-referrer";
    }

    // A page of another site can send a form, and cannot set a header or the content type JSON without being asked for
    // permission, which is never given. Browsers name the site besides.
    public static void CheckSite(HttpContext context)
    {
        var request = context.Request;
        var origin = request.Headers.Origin.ToString();

        if (origin.Length > 0 && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && page.Authority.Equals(AuthorityOf(request), StringComparison.OrdinalIgnoreCase)))
            throw new AdminProblem(403, "Origin", "a page of another site may change nothing");

        if (request.Headers["Sec-Fetch-Site"].ToString() is not ("" or "same-origin" or "none"))
            throw new AdminProblem(403, "Sec-Fetch-Site", "a page of another site may change nothing");

        if (!request.HasJsonContentType() && request.Headers[ChangeHeader].ToString().Length == 0)
            throw new AdminProblem(403, ChangeHeader, $"a change needs the header {ChangeHeader}: 1, or a body of application/json");
    }

    private static string TitleOf(int status) => status switch
    {
        400 => "Bad request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not found",
        409 => "Conflict",
        413 => "Content too large",
        415 => "Unsupported media type",
        429 => "Too many requests",
        _ => "The request failed",
    };

    // As Uri has it: without the default port of the scheme.
    private static string AuthorityOf(HttpRequest request) =>
        Uri.TryCreate($"{request.Scheme}://{request.Host}", UriKind.Absolute, out var uri) ? uri.Authority : "";

    private static AdminProblem TooMany() => new(429, null, "more requests arrive than are answered");

    private void Check(HttpContext context, AdminRoute route)
    {
        if (route.IsHealth)
            CheckProtection(context);
        else
            CheckBudget(context);

        if (route.IsChange)
            CheckSite(context);
    }

    private void CheckBudget(HttpContext context)
    {
        CheckProtection(context);
        using var lease = requests.AttemptAcquire();

        if (!lease.IsAcquired)
            throw TooMany();
    }

    private static void CheckProtection(HttpContext context)
    {
        if (!MqttAdminExtensions.IsProtected(context))
            throw new AdminProblem(403, null, "the application requires no authorization of these endpoints; MapMqttAdmin(...).RequireAuthorization(...) does");
    }

    private void End()
    {
        Metrics.Dispose();
        History.Dispose();
        Recent.Dispose();
        requests.Dispose();
        searches.Dispose();
    }
}

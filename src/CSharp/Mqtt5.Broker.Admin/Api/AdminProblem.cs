namespace Mqtt5.Admin;

// Why a request is not done: the answer is problem+json with where and what.
internal sealed class AdminProblem(int status, string? where, string what) : Exception(what)
{
    public int Status => status;

    // The parameter, header or member that is wrong; null: none.
    public string? Where => where;

    public static AdminProblem Bad(string where, string what) => new(400, where, what);

    public static AdminProblem NoClient() => new(404, "client", "there is no session of this client");
}

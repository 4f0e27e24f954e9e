package script

import (
	"errors"

	"github.com/yuin/gopher-lua/ast"
)

// concatName is the function that concatenation becomes. No script can name it, and it is harmless should one find it.
const concatName = "(concat)"

const (
	depthMax  = 1000 // how deep a script's syntax may nest: the compiler recurses
	concatMax = 64   // operands of one call
)

var errDepth = errors.New("chunk has too many syntax levels")

// rewriter walks over the syntax of a script and turns concatenation to calls of concatName. It bounds the depth on the way.
type rewriter struct{ depth int }

func (r *rewriter) block(stmts []ast.Stmt) {
	r.enter()
	defer r.leave()
	for _, s := range stmts {
		r.stmt(s)
	}
}

func (r *rewriter) enter() {
	if r.depth++; r.depth > depthMax {
		panic(errDepth)
	}
}

func (r *rewriter) leave() { r.depth-- }

func (r *rewriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		r.all(s.Lhs)
		r.all(s.Rhs)
	case *ast.LocalAssignStmt:
		r.all(s.Exprs)
	case *ast.FuncCallStmt:
		r.expr(&s.Expr)
	case *ast.DoBlockStmt:
		r.block(s.Stmts)
	case *ast.WhileStmt:
		r.expr(&s.Condition)
		r.block(s.Stmts)
	case *ast.RepeatStmt:
		r.block(s.Stmts)
		r.expr(&s.Condition)
	case *ast.IfStmt:
		r.expr(&s.Condition)
		r.block(s.Then)
		r.block(s.Else)
	case *ast.NumberForStmt:
		r.expr(&s.Init)
		r.expr(&s.Limit)
		r.expr(&s.Step)
		r.block(s.Stmts)
	case *ast.GenericForStmt:
		r.all(s.Exprs)
		r.block(s.Stmts)
	case *ast.FuncDefStmt:
		r.expr(&s.Name.Func)
		r.expr(&s.Name.Receiver)
		r.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		r.all(s.Exprs)
	}
}

func (r *rewriter) all(exprs []ast.Expr) {
	for i := range exprs {
		r.expr(&exprs[i])
	}
}

func (r *rewriter) expr(e *ast.Expr) {
	if *e == nil {
		return
	}
	r.enter()
	defer r.leave()
	switch x := (*e).(type) {
	case *ast.StringConcatOpExpr:
		*e = r.concat(x)
	case *ast.AttrGetExpr:
		r.expr(&x.Object)
		r.expr(&x.Key)
	case *ast.TableExpr:
		for _, f := range x.Fields {
			r.expr(&f.Key)
			r.expr(&f.Value)
		}
	case *ast.FuncCallExpr:
		r.expr(&x.Func)
		r.expr(&x.Receiver)
		r.all(x.Args)
	case *ast.LogicalOpExpr:
		r.expr(&x.Lhs)
		r.expr(&x.Rhs)
	case *ast.RelationalOpExpr:
		r.expr(&x.Lhs)
		r.expr(&x.Rhs)
	case *ast.ArithmeticOpExpr:
		r.expr(&x.Lhs)
		r.expr(&x.Rhs)
	case *ast.UnaryMinusOpExpr:
		r.expr(&x.Expr)
	case *ast.UnaryNotOpExpr:
		r.expr(&x.Expr)
	case *ast.UnaryLenOpExpr:
		r.expr(&x.Expr)
	case *ast.FunctionExpr:
		r.block(x.Stmts)
	}
}

// concat gathers a .. b .. c, which binds to the right, in one call.
func (r *rewriter) concat(x *ast.StringConcatOpExpr) ast.Expr {
	var args []ast.Expr
	for {
		args = append(args, x.Lhs)
		more, ok := x.Rhs.(*ast.StringConcatOpExpr)
		if !ok || len(args) == concatMax {
			args = append(args, x.Rhs)
			break
		}
		x = more
	}
	r.all(args)
	onlyOne(args[len(args)-1])
	name := &ast.IdentExpr{Value: concatName}
	call := &ast.FuncCallExpr{Func: name, Args: args, AdjustRet: true}
	for _, n := range []ast.PositionHolder{name, call} {
		n.SetLine(x.Line())
		n.SetLastLine(x.LastLine())
	}
	return call
}

// onlyOne keeps the last operand, when it is a call or ..., from giving more than one value.
func onlyOne(e ast.Expr) {
	switch x := e.(type) {
	case *ast.FuncCallExpr:
		x.AdjustRet = true
	case *ast.Comma3Expr:
		x.AdjustRet = true
	}
}
